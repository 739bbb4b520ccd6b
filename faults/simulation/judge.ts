/**
 * What a commit makes of its records, judged by other arithmetic: each is counted, filtered, late or
 * rejected as it has to be at that moment, and the commit says as many of each as there are.
 */
import type { Job } from '../../actors/job.ts'
import type { Commit } from './commit.ts'
import type { SimRecord } from './records.ts'
import type { ShardState } from './shard-state.ts'
import type { Trace } from './trace.ts'

type What = 'counted' | 'filtered' | 'late' | RejectedAs
type RejectedAs = 'rejected' | 'future' | 'value' | 'poison' | 'groups'
type Outcome = 'counted' | 'filtered' | 'late' | 'rejected'

const outcomeOf = (what: What): Outcome =>
  what === 'counted' || what === 'filtered' || what === 'late' ? what : 'rejected'

/** Adds to the state what is counted; answers with what is wrong. */
export function judge(
  records: readonly SimRecord[],
  commit: Commit,
  state: ShardState,
  { job, trace }: { job: Job; trace: Trace },
): string[] {
  const { finalTo: closedTo, totals } = state
  const findings: string[] = []
  const expected = { counted: 0, filtered: 0, late: 0, rejected: 0, partly: 0 }
  for (const record of records) {
    const place = `partition ${record.partition}, offset ${record.offset}`
    const what = whatOf(record, commit)
    expected[outcomeOf(what)]++
    if (what !== 'counted') trace.count(`record ${what}`)
    if (what === 'late' && !mayBeLate(record, job, state)) {
      findings.push(`${place}: late, though it was in time`)
    }
    if (what !== 'counted') continue
    if (paneOf(record, job) + job.windowSizeMs <= closedTo) {
      findings.push(`${place}: counted, though all of its windows are closed`)
    }
    if (missesSome(record, job, closedTo)) {
      expected.partly++
      trace.count('record partly')
      if (!isSaid(record, commit, 'partly'))
        findings.push(`${place}: missed a closed window unsaid`)
    }
    state.counted.push({ record, closedTo })
  }
  for (const kind of ['counted', 'filtered', 'late', 'rejected', 'partly'] as const) {
    if (commit[kind] !== expected[kind]) {
      findings.push(`a commit says ${commit[kind]} ${kind}, and has ${expected[kind]}`)
    }
    if (kind !== 'partly') totals[kind] += expected[kind]
  }
  return findings
}

/** What depends on time, order or fortune is the executor's to say; whether it may is asked then. */
function whatOf(record: SimRecord, commit: Commit): What {
  if (isSaid(record, commit, 'poison')) return 'poison'
  if (isSaid(record, commit, 'groups')) return 'groups'
  const { kind } = record
  if (kind === 'rejected' || kind === 'future' || kind === 'filtered') return kind
  if (isSaid(record, commit, 'late')) return 'late'
  return kind === 'value' ? 'value' : 'counted'
}

const isSaid = ({ partition, offset }: SimRecord, commit: Commit, reason: string): boolean =>
  commit.verdicts.has(`${partition}|${reason}|${offset}`)

/**
 * All of its windows are closed, and it is further behind the newest one before it than the delay
 * allows, or its partition had no say when they closed.
 */
function mayBeLate(record: SimRecord, job: Job, { finalTo, places }: ShardState): boolean {
  const end = lastEnd(record, job)
  if (end > finalTo) return false
  const { newestBefore, partition } = record
  const allowed = job.watermarkDelayMs + job.allowedLatenessMs
  if (newestBefore !== null && record.time! < newestBefore - allowed) return true
  return end <= places.get(partition)!.excusedTo - job.allowedLatenessMs
}

const paneOf = ({ time }: SimRecord, { windowSlideMs }: Job) =>
  Math.floor(time! / windowSlideMs) * windowSlideMs

/** Whether what is closed may lack the record: windows do, and of sessions nobody else can know. */
const missesSome = (record: SimRecord, job: Job, closedTo: number) =>
  job.gapMs === null ? paneOf(record, job) + job.windowSlideMs <= closedTo : record.time! < closedTo

/** Where the last of a record's windows ends, or a session that is of this record alone. */
function lastEnd(record: SimRecord, job: Job): number {
  const end = paneOf(record, job) + job.windowSizeMs
  return job.gapMs === null ? end : Math.min(end, record.time! + job.gapMs)
}
