/**
 * Where a sink is in the stream of closed windows, as one line of text that a sink can keep: the id of
 * the last window's last entry, the window's number, its end in epoch ms; of a sink that is given open
 * windows too, the id in their stream; and of a version of the job its name. What one version has written
 * the next one knows by the end. Pure.
 */
export interface Position {
  /** Id of an entry of the closed stream. */
  id: string
  /** The window's number; 0 where it has none. */
  number: number
  /** The window's end, epoch ms; null before the first. */
  end: number | null
  /** Id of an entry of the stream of open windows; absent before the first. */
  updatesId?: string
  /** The version whose stream it is in; '' for the first one of all, to which the sinks belong. */
  version: string
}

/** Before everything that the stream has. */
export const beginning: Position = { id: '0-0', number: 0, end: null, version: '' }

export function positionText({ id, number, end, updatesId, version }: Position): string {
  const updates = updatesId === undefined ? '' : `/${updatesId}`
  return `${id}/${number}/${end ?? ''}${updates}${version && `@${version}`}`
}

/** @throws where it is not a text of ours: a sink's position must not be guessed */
export function parsePosition(text: string | null): Position {
  if (text === null) return beginning
  const pattern = /^(\d+-\d+)\/(\d+)\/(-?\d*)(?:\/(\d+-\d+))?(?:@([a-z0-9_-]+))?$/
  const [, id, number, end, updatesId, version = ''] = pattern.exec(text) ?? []
  if (id === undefined) throw new Error(`${JSON.stringify(text)} is no position in closed windows`)
  const place = { id, number: Number(number), end: end === '' ? null : Number(end), version }
  return updatesId === undefined ? place : { ...place, updatesId }
}

/** Whether an id of the stream lies before another. */
export function isBefore(id: string, other: string): boolean {
  const [ms, sequence] = id.split('-').map(Number) as [number, number]
  const [otherMs, otherSequence] = other.split('-').map(Number) as [number, number]
  return ms === otherMs ? sequence < otherSequence : ms < otherMs
}

/** A window, and a place, as people are told of them. */
export const windowName = ({ start, end }: { start: number; end: number }): string =>
  `the window from ${new Date(start).toISOString()} to ${new Date(end).toISOString()}`

export const placeName = ({ end }: Pick<Position, 'end'>): string =>
  end === null ? 'none' : `that which ended at ${new Date(end).toISOString()}`
