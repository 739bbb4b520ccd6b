/**
 * From where on records are recomputed, where that is not the beginning: what the pipeline had at an instant
 * before which others judged them, or nobody looks. Windows that hold any of those records are left out.
 */
import * as v from 'valibot'
import { codeOf } from '../actors/code.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import {
  allPartitions,
  appliedRanges,
  type PipelineState,
  sumOf,
  type Totals,
  totalsOf,
} from './pipeline.ts'
import { partitionText } from './numbers.ts'
import type { Ranges } from './ranges.ts'

export interface Baseline {
  /** Epoch ms, Redis's clock. */
  at: number
  totals: Totals
  /** What was committed by then. */
  applied: Ranges
  /** Panes that held records by then. */
  panes: ReadonlySet<number>
  /** Of sessions: when the last one ends that was open then. */
  sessionsTo: number
  closedTo: number
}

const hash = v.record(v.string(), v.string())
/** An empty list is `{}` in Redis's JSON. */
const list = <Item extends v.GenericSchema>(item: Item) =>
  v.union([
    v.array(item),
    v.pipe(
      v.strictObject({}),
      v.transform((): v.InferOutput<Item>[] => []),
    ),
  ])
const changeSchema = v.object({
  at: v.pipe(v.string(), v.transform(Number)),
  totals: hash,
  ledger: hash,
  clock: hash,
  panes: list(v.string()),
  ahead: list(v.tuple([v.string(), v.string(), v.string()])),
})
const changeTextSchema = v.pipe(v.string(), v.parseJson(), changeSchema)

/**
 * The last instant at which the job's code was changed; null where it never was. Each shard has noted its
 * own; one that has not has no records from before.
 */
export async function readChange(store: Store, keys: Keys, job: Job): Promise<Baseline | null> {
  const texts = await Promise.all(keys.shards.map(({ judged }) => store.redis.get(judged)))
  const held = texts.map((text) => (text === null ? null : v.parse(changeTextSchema, text)))
  const changes = held.filter((change) => change !== null)
  if (changes.length === 0) return null
  const ledgers = held.map((change) => change?.ledger ?? {})
  const newest = ledgers.flatMap((ledger) =>
    Object.entries(ledger).flatMap(([field, value]) =>
      field.endsWith(':max') ? [Number(value)] : [],
    ),
  )
  return {
    at: Math.max(...changes.map(({ at }) => at)),
    totals: sumOf(changes.map(({ totals }) => totalsOf(totals))),
    applied: appliedRanges(
      allPartitions(ledgers),
      changes.flatMap(({ ahead }) => ahead),
    ),
    panes: new Set(changes.flatMap(({ panes }) => panes.map(Number))),
    sessionsTo: Math.max(-Infinity, ...newest) + (job.gapMs ?? 0),
    // What one of them had closed may hold records of before.
    closedTo: Math.max(...changes.map(({ clock }) => Number(clock.closedTo || -Infinity))),
  }
}

/** Whether some of a window's records may be from before. */
export function skips(job: Job, baseline: Baseline | null, start: number): boolean {
  const { windowSizeMs, windowSlideMs, gapMs } = job
  if (!baseline) return false
  // What began before those ended may be a part of one.
  if (gapMs !== null) return start < baseline.sessionsTo
  if (start + windowSizeMs <= baseline.closedTo) return true
  for (let pane = start; pane < start + windowSizeMs; pane += windowSlideMs) {
    if (baseline.panes.has(pane)) return true
  }
  return false
}

/** The counters without what they held before; the hash is a sum modulo 2^48. */
export function since(totals: Totals, before: Totals | undefined): Totals {
  if (!before) return totals
  const names = Object.keys(totals) as (keyof Totals)[]
  const rest = { ...totals }
  for (const name of names) rest[name] = totals[name] - before[name]
  rest.hash = (rest.hash + 2 ** 48) % 2 ** 48
  return rest
}

/** What a person should know of it, and of a file that is not the one that runs. */
export async function codeNotes(
  baseline: Baseline | null,
  state: PipelineState,
  file: string | undefined,
): Promise<string[]> {
  const notes: string[] = []
  if (baseline) notes.push(changeText(baseline, state))
  const code = file === undefined ? null : await codeOf(file)
  if (state.codes.size > 1) {
    notes.push("the job's code is being changed just now: what differs may be by that")
  } else if (code && state.codes.size > 0 && !state.codes.has(code.hash)) {
    notes.push(
      'the job file is not the code that runs: what differs may be by that (a supervisor that is started with the file runs it)',
    )
  }
  return notes
}

function changeText({ at, totals, applied }: Baseline, state: PipelineState): string {
  const offsets = Array.from(
    applied,
    ([number, ranges]) => `${partitionText(number, state)}:${ranges.at(-1)?.to ?? 0}`,
  )
  return (
    `the job's code was changed at ${new Date(at).toISOString()}: ` +
    `${totals.committed.toLocaleString('en')} records before that (to offsets ${offsets.join(', ')}) were ` +
    'judged by the code of then, and can not be recomputed, nor can windows that hold any of them'
  )
}
