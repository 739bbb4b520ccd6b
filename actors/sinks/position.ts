/**
 * Where a sink is in the stream of closed windows, as one line of text that a sink can keep: the id of
 * the last window's last entry, the window's number, its end in epoch ms; and of a sink that is given open
 * windows too, the id in their stream. Pure.
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
}

/** Before everything that the stream has. */
export const beginning: Position = { id: '0-0', number: 0, end: null }

export const positionText = ({ id, number, end, updatesId }: Position): string =>
  `${id}/${number}/${end ?? ''}${updatesId === undefined ? '' : `/${updatesId}`}`

/** @throws where it is not a text of ours: a sink's position must not be guessed */
export function parsePosition(text: string | null): Position {
  if (text === null) return beginning
  const pattern = /^(\d+-\d+)\/(\d+)\/(-?\d*)(?:\/(\d+-\d+))?$/
  const [, id, number, end, updatesId] = pattern.exec(text) ?? []
  if (id === undefined) throw new Error(`${JSON.stringify(text)} is no position in closed windows`)
  const place = { id, number: Number(number), end: end === '' ? null : Number(end) }
  return updatesId === undefined ? place : { ...place, updatesId }
}

/** Whether an id of the stream lies before another. */
export function isBefore(id: string, other: string): boolean {
  const [ms, sequence] = id.split('-').map(Number) as [number, number]
  const [otherMs, otherSequence] = other.split('-').map(Number) as [number, number]
  return ms === otherMs ? sequence < otherSequence : ms < otherMs
}
