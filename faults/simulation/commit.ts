/** What a commit says, as the witness reads its arguments; their order stands in commit.lua. */
import type { Argument } from './server.ts'

export interface Commit {
  counted: number
  filtered: number
  late: number
  rejected: number
  partly: number
  slices: { partition: number; from: number; to: number; records: number; done: boolean }[]
  /** `partition|reason|offset` */
  verdicts: Set<string>
}

export function readCommit(args: Argument[]): Commit {
  let at = 4
  const take = () => String(args[at++])
  const number = () => Number(take())
  at += 9 // me, ops, size, slide, closedTo, groups, rejects and verdicts kept, topic
  const [counted, filtered, late, rejected, partly] = [1, 2, 3, 4, 5].map(number) as [
    number,
    number,
    number,
    number,
    number,
  ]
  at += 2 // busy µs, hash
  const slices = Array.from({ length: number() }, () => {
    at++ // entry
    const partition = number()
    at += 4 // the entry's offsets, announced, bytes
    const [from, to] = [number(), number()]
    at++ // newest event time
    return { partition, from, to, records: number(), done: take() === '1' }
  })
  for (let panes = number(); panes > 0; panes--) {
    at += 4 // start, groups, keys, states
  }
  const rejects = number()
  at += 5 * rejects
  const verdicts = new Set<string>()
  for (let left = number(); left > 0; left--) {
    const [partition, reason] = [take(), take()]
    at++
    for (const offset of take().split(',')) verdicts.add(`${partition}|${reason}|${offset}`)
  }
  return { counted, filtered, late, rejected, partly, slices, verdicts }
}
