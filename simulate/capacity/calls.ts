/**
 * What a pipeline asks of Redis whether records come or not: looks at all partitions and all actors,
 * several times a second, whoever takes them. Microseconds of one Redis thread. Pure.
 */
import { between, costs } from './costs.ts'
import { smallest } from './smallest.ts'

/** What a Redis has to tell of: its own partitions, and all actors. */
export interface Register {
  partitions: number
  bridges: number
  executors: number
}

/** How often each call is made; a second. Where: the file that says so. */
export const times = {
  /** supervisor/supervisor.ts `tickMs`, with `measure` and `advance` in each look. */
  looks: 4,
  /** web/feed.ts `tickMs`, while a page is open. */
  pageLooks: 2,
  /** actors/bridge/bridge.ts `#watch`: each bridge its own partitions. */
  seen: 1,
  /** actors/bridge/share.ts `renewMs`: each bridge, walking over all. */
  share: 2,
  /** actors/config.ts `heartbeatMs`: each actor. */
  beats: 1,
} as const

/** No call of ours may hold Redis for longer. */
export const CALL_MS_MAX = 10

/** Supervisor and web beside bridges and executors. */
const OTHERS = 2

/** One call of each kind; µs of Redis's thread. */
export function callMicros({ partitions, bridges, executors }: Register) {
  const { calls } = costs
  const of = (values: readonly number[], count: number) => between(calls.at, values, count)
  const actors = bridges + executors + OTHERS
  return {
    measure: of(calls.measure, partitions) + actors * calls.actor.measure,
    advance: of(calls.advance, partitions),
    seen: of(calls.seen, partitions / Math.max(bridges, 1)),
    share: of(calls.share, partitions),
    open: of(calls.open, partitions),
    // It walks over all that read the stream.
    claim: executors * calls.actor.claim,
    beat: calls.beat,
  }
}

export type CallName = keyof ReturnType<typeof callMicros>

/** How many partitions a call may find until it holds Redis for longer than it may; 0 where it does with one. */
export function partitionsWithin(name: CallName, others: Omit<Register, 'partitions'>): number {
  const tooLong = (partitions: number) =>
    callMicros({ ...others, partitions })[name] > CALL_MS_MAX * 1_000
  return (smallest(MANY, tooLong) ?? MANY) - 1
}

const MANY = 1_000_000

/** All of them, but for claims; µs a second, beside what records cost. */
export function standingMicros(register: Register): number {
  const call = callMicros(register)
  const { bridges, executors } = register
  return (
    times.looks * (call.measure + call.advance) +
    times.pageLooks * call.measure +
    bridges * (times.seen * call.seen + times.share * call.share) +
    (bridges + executors + OTHERS) * times.beats * call.beat
  )
}

/** What taking a snapshot costs the process that takes it; µs. */
export function takerMicros({ partitions, bridges, executors }: Register): number {
  const { calls } = costs
  const actors = bridges + executors + OTHERS
  return between(calls.at, calls.taker, partitions) + actors * calls.actor.taker
}
