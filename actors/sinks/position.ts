/**
 * Where a sink is in the stream of closed windows, as one line of text that a sink can keep: the id of
 * the last window's last entry, the window's number, its end in epoch ms. Pure.
 */
export interface Position {
  /** Id of an entry of the closed stream. */
  id: string
  /** The window's number; 0 where it has none. */
  number: number
  /** The window's end, epoch ms; null before the first. */
  end: number | null
}

/** Before everything that the stream has. */
export const beginning: Position = { id: '0-0', number: 0, end: null }

export const positionText = ({ id, number, end }: Position): string =>
  `${id}/${number}/${end ?? ''}`

/** @throws where it is not a text of ours: a sink's position must not be guessed */
export function parsePosition(text: string | null): Position {
  if (text === null) return beginning
  const [, id, number, end] = /^(\d+-\d+)\/(\d+)\/(-?\d*)$/.exec(text) ?? []
  if (id === undefined) throw new Error(`${JSON.stringify(text)} is no position in closed windows`)
  return { id, number: Number(number), end: end === '' ? null : Number(end) }
}

/** Whether an id of the stream lies before another. */
export function isBefore(id: string, other: string): boolean {
  const [ms, sequence] = id.split('-').map(Number) as [number, number]
  const [otherMs, otherSequence] = other.split('-').map(Number) as [number, number]
  return ms === otherMs ? sequence < otherSequence : ms < otherMs
}
