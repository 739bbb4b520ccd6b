/**
 * The back-test: a recording goes through each policy again, and the table tells beside what really
 * happened.
 */
import { writeFileSync } from 'node:fs'
import { RefusalError } from '../actors/errors.ts'
import { costReport } from '../supervisor/cost.ts'
import { reversalsOf, type Result, type Terms } from './contest.ts'
import { linesOf, traceOfFile, traceOfJob } from './recorded.ts'
import { type Recording, recordingOf, type Trace } from './trace.ts'

export interface Source {
  /** The file of a recording, or of the job whose measurements Redis keeps. */
  file: string
  from: 'redis' | 'file'
}

export async function loadTrace({ file, from }: Source): Promise<{ name: string; trace: Trace }> {
  return from === 'redis' ? traceOfJob(file) : { name: 'recording', trace: traceOfFile(file) }
}

/** Writes the measurements that Redis keeps; returns how many. */
export async function record(job: string, into: string): Promise<number> {
  const { name, trace } = await traceOfJob(job)
  if (trace.samples.length === 0) throw nothingOf(name)
  writeFileSync(into, linesOf(trace))
  return trace.samples.length
}

/** @throws RefusalError where there is nothing to replay */
export function replayOf(name: string, trace: Trace): Recording {
  const recording = recordingOf(name, trace)
  if (!recording) throw nothingOf(name)
  return recording
}

/** What really happened, as a row of the table; how long each record waited is not recorded. */
export function recordedResult({ scenario, account, changes }: Recording, terms: Terms): Result {
  return {
    scenario: scenario.name,
    way: 'recorded',
    cost: costReport(account, terms.pricePerHour),
    records: 0,
    undone: 0,
    delayMs: { p50: null, p99: null, max: null },
    scalings: changes.length,
    reversals: reversalsOf(changes).length,
  }
}

export function holesText({ holes }: Recording): string | null {
  if (holes.length === 0) return null
  const seconds = holes.reduce((sum, { fromMs, toMs }) => sum + (toMs - fromMs) / 1_000, 0)
  const records = holes.reduce((sum, hole) => sum + hole.records, 0)
  const count = holes.length === 1 ? 'a hole' : `${holes.length} holes`
  return (
    `the recording has ${count}, ${seconds.toFixed(0)} s with ${records} records: there arrivals ` +
    'are taken as even and executors as unchanged'
  )
}

const nothingOf = (name: string) =>
  new RefusalError(
    `nothing to replay of ${name}: a supervisor records what it measures while it leads, and ` +
      'records must have been done meanwhile',
  )
