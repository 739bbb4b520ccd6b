/**
 * What the pipeline says: its state at one instant, its verdicts, and its windows.
 *
 * What is committed is known exactly, also while the pipeline works: the finished prefix of each
 * partition, and what lies beyond it, by the same instant's counters and streams.
 */
import * as v from 'valibot'
import { RefusalError } from '../actors/errors.ts'
import type { Keys } from '../actors/keys.ts'
import { type Store, wholeKey } from '../actors/redis.ts'
import type { Ruling } from './recount.ts'
import snapshotScript from './snapshot.lua' with { type: 'text' }
import type { Range, Ranges } from './ranges.ts'
import { namedTopics, type ReadTopic } from './numbers.ts'

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

export interface PipelineState {
  /** Redis's clock, epoch ms. */
  at: number
  totals: Totals
  /** By their indexes; none of a job that has read one only. */
  topics: ReadTopic[]
  /** By their numbers (topics.ts), as everywhere here. */
  partitions: { partition: number; start: number; next: number; frontier: number }[]
  /** What is committed, by partition. */
  applied: Ranges
  closedTo: number | null
  /** Up to there closed windows take no records any more; closedTo where none ever does. */
  finalTo: number | null
  /** End of the window that is being written out. */
  closing: number | null
  /** Panes, and ends of windows, with something that is not told yet. */
  changed: ReadonlySet<number>
  revise: ReadonlySet<number>
  /** What ends after this may not be written yet, though it is closed; null before the first. */
  writtenTo: number | null
  closed: StreamState
  verdicts: StreamState
  /** The code that judges records now; null where no supervisor has told. */
  code: string | null
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
  ahead: v.optional(v.array(range), []),
  losses: v.optional(v.array(range), []),
  closed: stream,
  verdicts: stream,
  changed: v.optional(v.array(v.string()), []),
  revise: v.optional(v.array(v.string()), []),
})

export async function readState(store: Store, keys: Keys): Promise<PipelineState> {
  const text: unknown = await store.redis.eval(snapshotScript, 2, keys.base, wholeKey(keys.base))
  const reply = v.parse(v.pipe(v.string(), v.parseJson(), replySchema), text)
  const partitions = partitionsOf(reply.ledger)
  return {
    at: reply.at,
    totals: totalsOf(reply.totals),
    topics: namedTopics(reply.ledger),
    partitions,
    applied: without(appliedRanges(partitions, reply.ahead), reply.losses),
    closedTo: numberOrNull(reply.clock.closedTo),
    finalTo: numberOrNull(reply.clock.finalTo ?? reply.clock.closedTo),
    closing: numberOrNull(reply.clock.closing),
    changed: new Set(reply.changed.map(Number)),
    revise: new Set(reply.revise.map(Number)),
    writtenTo: numberOrNull(reply.clock.closingPane ?? reply.clock.closedTo),
    closed: reply.closed,
    verdicts: reply.verdicts,
    code: reply.ledger.code ?? null,
  }
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

const PAGE = 500

/** Partition → offset → ruling. */
export type Rulings = Map<number, Map<number, Ruling>>

/** Verdicts behind `after` up to the state's instant. */
export async function readRulings(
  store: Store,
  keys: Keys,
  state: PipelineState,
  { rulings = new Map(), after }: { rulings?: Rulings; after?: string } = {},
): Promise<Rulings> {
  let from = after === undefined ? '-' : `(${after}`
  for (;;) {
    const page = await store.redis.xrange(keys.verdicts, from, state.verdicts.last, 'COUNT', PAGE)
    for (const [id, fields] of page) addRulings(rulings, id, fields)
    const last = page.at(-1)
    if (!last || page.length < PAGE) return rulings
    from = `(${last[0]}`
  }
}

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
