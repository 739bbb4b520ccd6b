/**
 * What the pipeline says: its state at one instant, its verdicts, and its windows.
 *
 * What is committed is known exactly, also while the pipeline works: the finished prefix of each
 * partition, and what lies beyond it, by the same instant's counters and streams. Of several shards each
 * has an instant of its own, for the partitions that are its alone.
 */
import * as v from 'valibot'
import { RefusalError } from '../actors/errors.ts'
import type { Keys } from '../actors/keys.ts'
import { type Store, wholeKey } from '../actors/redis.ts'
import type { Ruling } from './recount.ts'
import snapshotScript from './snapshot.lua' with { type: 'text' }
import type { Range, Ranges } from './ranges.ts'
import { namedTopics, PARTITIONS_OF_A_TOPIC, type ReadTopic } from './numbers.ts'

export interface Totals {
  appended: number
  committed: number
  waiting: number
  counted: number
  filtered: number
  late: number
  rejected: number
  partly: number
  /** Given up by the operator: Kafka had deleted them before they were read. */
  lost: number
  /** Of the places of all committed records, see places.ts. */
  hash: number
}

interface StreamState {
  length: number
  last: string
  added: number
}

/** Of one of the shards; a job that is not divided has one. */
export interface ShardState {
  committed: number
  /** Its own clock: parts of windows are closed up to there, or are just being written out. */
  closedTo: number | null
  closing: number | null
  /** Ids of one shard say nothing of another's. */
  verdicts: StreamState
}

export interface PipelineState {
  /** Redis's clock, epoch ms; the latest of the shards'. */
  at: number
  /** Of all shards, as everything here that is not said to be of one. */
  totals: Totals
  /** By their indexes; none of a job that has read one only. */
  topics: ReadTopic[]
  /** By their numbers (topics.ts), as everywhere here. */
  partitions: { partition: number; start: number; next: number; frontier: number }[]
  /** What is committed, by partition. */
  applied: Ranges
  closedTo: number | null
  /**
   * Up to there closed windows hold what is committed now: closedTo, but where a shard was taken back to
   * an earlier state and has not closed again what was closed of it.
   */
  wholeTo: number | null
  /** Up to there closed windows take no records any more; wholeTo where none ever does. */
  finalTo: number | null
  /** End of the window that is being written out. */
  closing: number | null
  /** Starts of the open panes, in any shard. */
  panes: ReadonlySet<number>
  /** Panes, and ends of windows, with something that is not told yet. */
  changed: ReadonlySet<number>
  revise: ReadonlySet<number>
  /** What ends after this may not be written yet, though it is closed; null before the first. */
  writtenTo: number | null
  closed: StreamState
  shards: ShardState[]
  /** The code that judges records now: none where no supervisor has told, several while it is changed. */
  codes: ReadonlySet<string>
}

const stream = v.object({ length: v.number(), last: v.string(), added: v.number() })
const hash = v.record(v.string(), v.string())
/** Partition, from, to. */
const range = v.tuple([v.string(), v.string(), v.string()])
const replySchema = v.object({
  at: v.pipe(v.string(), v.transform(Number)),
  ledger: hash,
  totals: hash,
  clock: hash,
  joined: hash,
  ahead: v.optional(v.array(range), []),
  losses: v.optional(v.array(range), []),
  closed: stream,
  verdicts: stream,
  panes: v.optional(v.array(v.string()), []),
  changed: v.optional(v.array(v.string()), []),
  revise: v.optional(v.array(v.string()), []),
})

type Reply = v.InferOutput<typeof replySchema>

/** @throws RefusalError where a shard holds a partition of another, or a record was committed twice */
export async function readState(store: Store, keys: Keys): Promise<PipelineState> {
  const [home, ...others] = keys.shards as [Keys, ...Keys[]]
  // The first one first: what is joined there, all the others have closed before.
  const first = await readShard(store, home)
  const rest = await Promise.all(others.map((shard) => readShard(store, shard)))
  const replies = [first, ...rest]
  const shards = replies.map(shardOf)
  const partitions = allPartitions(replies.map(({ ledger }) => ledger))
  const clock = others.length === 0 ? first.clock : first.joined
  const closedTo = numberOrNull(clock.closedTo)
  const wholeTo = others.length === 0 ? closedTo : leastOf([closedTo, ...shards.map(closedBy)])
  const numbers = (name: 'panes' | 'changed' | 'revise') =>
    new Set(replies.flatMap((reply) => reply[name].map(Number)))
  return {
    at: Math.max(...replies.map(({ at }) => at)),
    totals: sumOf(replies.map(({ totals }) => totalsOf(totals))),
    topics: namedTopics(first.ledger),
    partitions,
    applied: without(
      appliedRanges(
        partitions,
        replies.flatMap(({ ahead }) => ahead),
      ),
      replies.flatMap(({ losses }) => losses),
    ),
    closedTo,
    wholeTo,
    finalTo: clock.finalTo === undefined ? wholeTo : numberOrNull(clock.finalTo),
    closing: numberOrNull(clock.closing),
    panes: numbers('panes'),
    changed: numbers('changed'),
    revise: numbers('revise'),
    writtenTo: numberOrNull(clock.closingPane ?? clock.closedTo),
    closed: first.closed,
    shards,
    codes: new Set(replies.flatMap(({ ledger }) => ledger.code ?? [])),
  }
}

async function readShard(store: Store, { base }: Keys): Promise<Reply> {
  const text: unknown = await store.redis.eval(snapshotScript, 2, base, wholeKey(base))
  return v.parse(v.pipe(v.string(), v.parseJson(), replySchema), text)
}

const shardOf = ({ totals, clock, verdicts }: Reply): ShardState => ({
  committed: totalsOf(totals).committed,
  closedTo: numberOrNull(clock.closedTo),
  closing: numberOrNull(clock.closing),
  verdicts,
})

/** What a shard has written out to; a window's end is a whole number, and so this is before it. */
const closedBy = ({ closedTo, closing }: ShardState): number | null =>
  closing === null ? closedTo : closing - 1

const leastOf = (times: (number | null)[]): number | null =>
  times.some((time) => time === null) ? null : Math.min(...(times as number[]))

/** The hash is a sum modulo 2^48. */
export function sumOf(all: readonly Totals[]): Totals {
  const sum = totalsOf({})
  for (const totals of all) {
    for (const name of Object.keys(sum) as (keyof Totals)[]) sum[name] += totals[name]
  }
  sum.hash %= 2 ** 48
  return sum
}

/**
 * Partitions of the shards' ledgers, in order.
 * @throws RefusalError where one is in another shard than partition modulo shards
 */
export function allPartitions(ledgers: Record<string, string>[]): PipelineState['partitions'] {
  const all = ledgers.flatMap((ledger, shard) =>
    partitionsOf(ledger).map((one) => {
      const due = (one.partition % PARTITIONS_OF_A_TOPIC) % ledgers.length
      if (due === shard) return one
      throw new RefusalError(
        `partition ${one.partition} is in the ledger of shard ${shard}, and belongs to shard ${due}`,
      )
    }),
  )
  return all.sort((a, b) => a.partition - b.partition)
}

export function totalsOf(hash: Record<string, string>): Totals {
  const total = (name: keyof Totals) => Number(hash[name] ?? 0)
  return {
    appended: total('appended'),
    committed: total('committed'),
    waiting: total('waiting'),
    counted: total('counted'),
    filtered: total('filtered'),
    late: total('late'),
    rejected: total('rejected'),
    partly: total('partly'),
    lost: total('lost'),
    hash: total('hash'),
  }
}

export function partitionsOf(ledger: Record<string, string>): PipelineState['partitions'] {
  return Object.keys(ledger)
    .flatMap((field) => /^(\d+):start$/.exec(field)?.[1] ?? [])
    .map((p) => ({
      partition: Number(p),
      start: Number(ledger[`${p}:start`]),
      next: Number(ledger[`${p}:next`]),
      frontier: Number(ledger[`${p}:frontier`]),
    }))
    .sort((a, b) => a.partition - b.partition)
}

/**
 * The finished prefixes and what is committed beyond them, in order, touching ranges joined.
 * @throws RefusalError where they overlap: a record would have been committed twice
 */
export function appliedRanges(
  partitions: PipelineState['partitions'],
  ahead: [string, string, string][],
): Ranges {
  const applied: Ranges = new Map()
  for (const { partition, start, frontier } of partitions) {
    const beyond = ahead
      .filter(([p]) => Number(p) === partition)
      .map(([, from, to]) => ({ from: Number(from), to: Number(to) }))
    const ranges = [{ from: start, to: frontier }, ...beyond]
      .filter(({ from, to }) => from < to)
      .sort((a, b) => a.from - b.from)
    if (ranges.length > 0) applied.set(partition, joined(partition, ranges))
  }
  return applied
}

function joined(partition: number, ranges: Range[]): Range[] {
  const result: Range[] = []
  for (const range of ranges) {
    const last = result.at(-1)
    if (last && range.from < last.to) {
      throw new RefusalError(
        `partition ${partition}: [${last.from}, ${last.to}) and [${range.from}, ${range.to}) are ` +
          `both committed, and they overlap`,
      )
    }
    if (last?.to === range.from) last.to = range.to
    else result.push({ ...range })
  }
  return result
}

/** What is left of the ranges when those that nobody has read are taken out. */
export function without(ranges: Ranges, losses: [string, string, string][]): Ranges {
  const left: Ranges = new Map()
  for (const [partition, held] of ranges) {
    const lost = losses.filter(([p]) => Number(p) === partition)
    const rest = lost.reduce(
      (parts, [, from, to]) =>
        parts.flatMap((part) => [
          { from: part.from, to: Math.min(part.to, Number(from)) },
          { from: Math.max(part.from, Number(to)), to: part.to },
        ]),
      held,
    )
    const some = rest.filter(({ from, to }) => from < to)
    if (some.length > 0) left.set(partition, some)
  }
  return left
}

/** Whether nothing was committed in between; closing windows may have gone on. */
export function stoodStill(before: PipelineState, after: PipelineState): boolean {
  const work = ({ totals, partitions, applied }: PipelineState) =>
    JSON.stringify([totals.committed, partitions, [...applied]])
  return work(before) === work(after)
}

/**
 * Whether every shard has open what is not in the joined windows, and nothing is on its way there. Of one
 * shard it always is: a window is taken out of its panes and written down in one step.
 */
export const isJoined = ({ closedTo, closing, shards }: PipelineState): boolean =>
  shards.length === 1 ||
  (closing === null &&
    shards.every((shard) => shard.closing === null && shard.closedTo === closedTo))

const PAGE = 500

/** Partition → offset → ruling. */
export type Rulings = Map<number, Map<number, Ruling>>

/** Verdicts behind `after`, which is an id for each shard, up to the state's instant. */
export async function readRulings(
  store: Store,
  keys: Keys,
  state: PipelineState,
  { rulings = new Map(), after = [] }: { rulings?: Rulings; after?: readonly string[] } = {},
): Promise<Rulings> {
  for (const [i, { verdicts }] of keys.shards.entries()) {
    const { last } = state.shards[i]!.verdicts
    for (let from = `(${after[i] ?? '0-0'}`; ; ) {
      const page = await store.redis.xrange(verdicts, from, last, 'COUNT', PAGE)
      for (const [id, fields] of page) addRulings(rulings, id, fields)
      const newest = page.at(-1)
      if (!newest || page.length < PAGE) break
      from = `(${newest[0]}`
    }
  }
  return rulings
}

/** Whether the oldest verdicts are not kept any more, in any shard. */
export const lacksVerdicts = ({ shards }: PipelineState): boolean =>
  shards.some(({ verdicts }) => isTrimmed(verdicts))

function addRulings(rulings: Rulings, id: string, fields: string[]): void {
  const { p, reason, closedTo, offsets } = pairs(fields)
  const known = rulings.get(Number(p)) ?? new Map<number, Ruling>()
  rulings.set(Number(p), known)
  const ruling = {
    reason: reason ?? '',
    closedTo: numberOrNull(closedTo),
    at: Number(id.split('-')[0]),
  }
  for (const offset of offsets?.split(',') ?? []) known.set(Number(offset), ruling)
}

/** Whether a bounded stream has lost its oldest entries. */
export const isTrimmed = ({ added, length }: StreamState): boolean => added > length

function pairs(flat: string[]): Record<string, string> {
  const entries = flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? '']] : []))
  return Object.fromEntries(entries) as Record<string, string>
}

function numberOrNull(text: string | undefined): number | null {
  return text === undefined || text === '' ? null : Number(text)
}
