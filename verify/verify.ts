/**
 * Recomputes what the pipeline has made of a topic, and compares:
 *   state → verdicts → the topic's records → windows and counters → compared
 * The state is taken at one instant, and exactly the records that were committed then are recounted,
 * so closed windows can be compared while the pipeline works. Open windows go on changing: they are
 * compared when nothing was committed during the reading.
 */
import type { Kafka } from 'kafkajs'
import { type Clock, systemClock } from '../actors/clock.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { type Baseline, codeNotes, readChange, since, skips } from './baseline.ts'
import { applied, unaccountedOf, wrong } from './checks.ts'
import { ClosedAudit } from './closed-audit.ts'
import { compareCounts, compareSessions, compareWindow, Differences } from './compare.ts'
import {
  isJoined,
  lacksVerdicts,
  type PipelineState,
  readRulings,
  readState,
  stoodStill,
  type Totals,
} from './pipeline.ts'
import { type Ranges, subtract } from './ranges.ts'
import { type Counts, Recount } from './recount.ts'
import { type FoundRow, openRows } from './rows.ts'
import { isCompacted } from './topic.ts'
import { placeOf, topicsRead } from './numbers.ts'
import { recordsBehind } from './catch-up.ts'
import { endsOf, TopicsReader } from './topics.ts'

export interface Verification {
  job: Job
  kafka: Kafka
  store: Store
  keys: Keys
  /** The job's, so that it is told where it is not the one that runs. */
  file?: string
  clock?: Clock
  /** Called with the number of records read so far. */
  onProgress?: (records: number) => void
}

export interface Report {
  ok: boolean
  lost: number
  duplicated: number
  wrong: number
  /** Records that were committed, by the topic. */
  records: number
  partitions: { topic: string; partition: number; from: number; to: number; records: number }[]
  counts: Counts
  totals: Totals
  unaccounted: number
  /** Records that Kafka had deleted before they were read, and that the operator gave up. */
  declaredLost: number
  windows: {
    closed: number
    open: number
    rows: number
    /** Closed windows that the bounded stream does not hold any more. */
    trimmed: number
  }
  differences: { total: number; named: string[] }
  /** What could not be compared, and why; what a person should know. */
  notes: string[]
}

/** Records that are handed on together; that many `work` hooks run at once. */
const TOGETHER = 256
/** How often reading the open windows is tried while windows are being closed. */
const STEADY_TRIES = 50
/** Between two tries where the shards have not closed the same windows yet. */
const JOINED_EVERY_MS = 100

const COMPACTED =
  'a topic is compacted: records that Kafka removed since they were processed can not be ' +
  'recomputed, and show as duplicated'

/** @throws RefusalError where the topic does not hold what was processed */
export async function verify(verification: Verification): Promise<Report> {
  const { job, store, keys } = verification
  // Before the state: what is committed by the code of now is at least what this leaves out.
  const baseline = await readChange(store, keys, job)
  const state = await readState(store, keys)
  const ends = await endsOf(verification.kafka, job, state)
  const recount = new Recount(job, await readRulings(store, keys, state), state.at)
  const ranges = baseline ? subtract(state.applied, baseline.applied) : state.applied
  await readRecords(verification, state, ranges, recount)
  recount.finish(baseline?.panes)

  const differences = new Differences()
  const notes = await codeNotes(baseline, state, verification.file)
  const totals = since(state.totals, baseline?.totals)
  differences.add(compareCounts(recount.counts, totals, state.totals))
  differences.add(comparePlaces(recount, totals))
  differences.add(recount.contradictions.map((text) => wrong('C1', text)))
  noteVerdicts(state, recount, notes)
  noteBehind(recordsBehind(state, ends), notes)
  for (const { name } of topicsRead(job, state)) {
    if (!(await isCompacted(verification.kafka, name))) continue
    notes.push(COMPACTED)
    break
  }
  const parts: Parts = { verification, baseline, recount, differences, notes }
  const windows = await compareWindows(parts, state)
  return reportOf({ ...state, totals }, ranges, parts, windows)
}

interface Parts {
  verification: Verification
  baseline: Baseline | null
  recount: Recount
  differences: Differences
  notes: string[]
}

/** C2. Where the numbers differ already, compareCounts has said so. */
function comparePlaces({ places }: Recount, totals: Totals) {
  const found = { count: totals.committed, hash: totals.hash }
  return found.count === places.count ? applied(places, found) : []
}

async function readRecords(
  { job, kafka, onProgress }: Verification,
  state: PipelineState,
  ranges: Ranges,
  recount: Recount,
): Promise<void> {
  let records = 0
  const reader = new TopicsReader(kafka)
  try {
    await reader.read(topicsRead(job, state), {
      ranges,
      together: TOGETHER,
      take: async (taken) => {
        await recount.take(taken)
        records += taken.length
        onProgress?.(records)
      },
    })
  } finally {
    await reader.close()
  }
}

function noteVerdicts(state: PipelineState, recount: Recount, notes: string[]): void {
  if (lacksVerdicts(state)) {
    notes.push(
      'the oldest verdicts (late, partly, future, groups, poison, hung) are not kept any more: records ' +
        'that they were about are taken for counted, and differ',
    )
  }
  if (recount.lateWithinDelay > 0) {
    notes.push(
      'records that missed a window although they were within the watermark delay of the newest before them: ' +
        `${recount.lateWithinDelay}; that is right only where their partition had been idle`,
    )
  }
}

/** Else a pipeline that has only begun would pass as one that is done. */
function noteBehind(records: number, notes: string[]): void {
  if (records === 0) return
  notes.push(
    `up to ${records.toLocaleString('en')} records that Kafka held were not processed when this began, and are not ` +
      'in it; --wait SECONDS waits for them',
  )
}

type Compared = Report['windows'] & { untold: number }

async function compareWindows(parts: Parts, state: PipelineState): Promise<Compared> {
  const { verification, notes } = parts
  const read = await readSteadily(verification, state)
  const steady = typeof read === 'string' ? null : read
  if (typeof read === 'string') notes.push(read)
  const now = steady?.state ?? state
  const compared = { closed: 0, open: 0, rows: 0, trimmed: 0, untold: 0 }
  await compareClosed(parts, now, compared)
  if (steady) compareOpen(parts, steady, compared)
  if (compared.untold > 0) {
    notes.push(
      `${compared.untold} closed windows not compared: what late records changed is not written yet`,
    )
  }
  if (compared.trimmed > 0) {
    notes.push(`${compared.trimmed} closed windows not compared: older than what is kept`)
  }
  return compared
}

interface Steady {
  state: PipelineState
  open: FoundRow[]
}

const AT_WORK = 'open windows were not compared: records were committed while the topic was read'
const APART =
  'open windows were not compared, nor those that are not closed in every shard: the shards have not ' +
  'closed the same windows (the leading supervisor makes them; does none run?)'

/** The open windows and the state that they belong to; why not where the pipeline was at work. */
async function readSteadily(
  { job, store, keys, clock = systemClock }: Verification,
  first: PipelineState,
): Promise<Steady | string> {
  let why = AT_WORK
  for (let attempt = 1; attempt <= STEADY_TRIES; attempt++) {
    const before = await readState(store, keys)
    if (!stoodStill(first, before)) return AT_WORK
    if (!isJoined(before)) {
      why = APART
      await clock.sleep(JOINED_EVERY_MS)
      continue
    }
    why = AT_WORK
    const open = await openRows(store, keys, job, before.closedTo)
    const after = await readState(store, keys)
    const isSame = stoodStill(first, after) && closingOf(before) === closingOf(after)
    // A shard that closes a window takes it out of its panes before it is joined.
    if (isSame && isJoined(after)) {
      return { state: after, open }
    }
  }
  return why
}

const closingOf = (state: PipelineState) => `${state.closedTo} ${state.closing}`

async function compareClosed(
  { verification, baseline, recount, differences }: Parts,
  state: PipelineState,
  compared: Compared,
): Promise<void> {
  const { job, store, keys } = verification
  const skipped = (start: number) => skips(job, baseline, start)
  const audit = new ClosedAudit({ store, keys, job, unsettled: true, skips: skipped })
  differences.add(await audit.compare(state, recount.expected))
  compared.closed = audit.compared
  compared.rows += audit.rows
  compared.trimmed = audit.trimmed
  compared.untold = audit.untold
}

function compareRows(
  job: Job,
  starts: Iterable<number>,
  rows: FoundRow[],
  recount: Recount,
  differences: Differences,
): void {
  const byStart = Map.groupBy(rows, ({ start }) => start)
  for (const start of starts) {
    const found = byStart.get(start) ?? []
    differences.add(compareWindow(job, start, recount.expected.rows(start), found))
  }
}

function compareOpen(
  { verification: { job }, baseline, recount, differences }: Parts,
  { state, open: all }: Steady,
  compared: Compared,
): void {
  const isWanted = ({ start }: { start: number }) => !skips(job, baseline, start)
  const open = all.filter(isWanted)
  if (job.gapMs !== null) {
    const sessions = recount.expected
      .sessions(state.closedTo ?? -Infinity, Infinity)
      .filter(isWanted)
    differences.add(compareSessions(job, sessions, open))
    compared.open = sessions.length
    compared.rows += open.length
    return
  }
  const wanted = recount.expected
    .windows()
    .filter((start) => state.closedTo === null || start + job.windowSizeMs > state.closedTo)
    .filter((start) => isWanted({ start }))
  const starts = new Set([...wanted, ...open.map(({ start }) => start)])
  compareRows(job, starts, open, recount, differences)
  compared.open = starts.size
  compared.rows += open.length
}

/** `state` has the totals of what was recomputed. */
function reportOf(
  state: PipelineState,
  ranges: Ranges,
  { verification: { job }, baseline, recount, differences, notes }: Parts,
  { closed, open, rows, trimmed }: Compared,
): Report {
  const { lost, duplicated, wrong: wrongs, total, named } = differences
  const unnamed = recount.contradictionsTotal - recount.contradictions.length
  const partitions = state.partitions.map(({ partition, start }) => ({
    ...placeOf(partition, job, state),
    from: baseline ? (ranges.get(partition)?.[0]?.from ?? start) : start,
    to: state.applied.get(partition)?.at(-1)?.to ?? start,
    records: recount.records.get(partition) ?? 0,
  }))
  return {
    ok: total === 0,
    lost,
    duplicated,
    wrong: wrongs + unnamed,
    records: partitions.reduce((sum, { records }) => sum + records, 0),
    partitions,
    counts: recount.counts,
    totals: state.totals,
    // Of all: what was unaccounted when the code was changed is so still.
    unaccounted: unaccountedOf(state.totals) + (baseline ? unaccountedOf(baseline.totals) : 0),
    declaredLost: state.totals.lost,
    windows: { closed, open, rows, trimmed },
    differences: { total: total + unnamed, named },
    notes,
  }
}
