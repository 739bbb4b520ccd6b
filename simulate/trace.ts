/**
 * A recording of a supervisor's measurements as a scenario, and what really happened in it.
 *
 *   samples → load: what arrived between two of them, evenly
 *           → cost: busy time over what was done, by the records' numbers (first in, first out)
 *           → what ran: executor time, changes of the count
 *
 * Where samples are missing, arrivals are taken as even and executors as unchanged; `holes` tells.
 */
import { bounds } from '../actors/config.ts'
import { addCost, type CostAccount } from '../supervisor/cost.ts'
import type { Decision } from '../supervisor/reasons.ts'
import { isSilent, type Sample } from '../supervisor/measurements.ts'
import type { Point } from './load.ts'
import type { Scenario } from './scenario.ts'

export interface Trace {
  /** Oldest first. */
  samples: Sample[]
  /** What the supervisor decided meanwhile, oldest first. */
  decisions: Decision[]
}

export interface Hole {
  fromMs: number
  toMs: number
  records: number
}

export interface Recording {
  scenario: Scenario
  holes: Hole[]
  /** Executors at work at its beginning. */
  warm: number
  min: number
  max: number
  account: CostAccount
  /** Changes of the wanted count. */
  changes: { at: number; from: number; to: number }[]
}

/** Samples further apart than this leave a hole; in silence they are a minute apart. */
const HOLE_MS = 5_000
const SILENT_HOLE_MS = 1.5 * bounds.measureSilentEveryMs
/** What waited at the beginning comes at once. */
const BURST_SECONDS = 0.001

/** Null where there is too little: fewer than two samples, or no record that was done. */
export function recordingOf(name: string, trace: Trace): Recording | null {
  const samples = inOrder(trace.samples)
  const first = samples[0]
  const last = samples.at(-1)
  const costs = costsOf(samples)
  if (!first || !last || last.at === first.at || costs.length === 0) return null
  const seconds = (last.at - first.at) / 1_000
  const scenario: Scenario = {
    name,
    title: 'a recording',
    about: `${new Date(first.at).toISOString()} to ${new Date(last.at).toISOString()}`,
    seconds,
    load: { points: loadOf(samples) },
    cost: { kind: 'recorded', points: costs },
    startMs: [100, 500],
  }
  return {
    scenario,
    holes: holesOf(samples),
    warm: first.running,
    min: last.min,
    max: last.max,
    account: accountOf(samples),
    changes: changesOf(samples, trace.decisions),
  }
}

/**
 * From where Kafka's end was first known, as before that nobody counted what came. One look that was
 * written twice (its outcome was unknown) counts once.
 */
function inOrder(samples: readonly Sample[]): Sample[] {
  const sorted = [...samples].sort((a, b) => a.at - b.at)
  const known = sorted.findIndex(({ arrived }) => arrived !== null)
  return known < 0 ? [] : sorted.slice(known).filter(({ at }, i, all) => at !== all[i - 1]?.at)
}

/** Records a second between samples that know Kafka's end; first what waited already. */
function loadOf(samples: readonly Sample[]): Point[] {
  const first = samples[0]!
  const waiting = first.waiting + (first.kafkaLag ?? 0)
  const points: Point[] = [
    [0, waiting / BURST_SECONDS],
    [BURST_SECONDS, waiting / BURST_SECONDS],
  ]
  for (const [before, after] of steps(samples.filter(({ arrived }) => arrived !== null))) {
    const from = Math.max((before.at - first.at) / 1_000, BURST_SECONDS)
    const to = (after.at - first.at) / 1_000
    const perSecond = grown(before.arrived!, after.arrived!) / (to - from)
    points.push([from, perSecond], [to, perSecond])
  }
  return points
}

/** What records cost, from a number on: a step between samples has the mean of what it did. */
function costsOf(samples: readonly Sample[]): [record: number, ms: number][] {
  const costs: [number, number][] = []
  let record = 0
  for (const [before, after] of steps(samples)) {
    const done = grown(before.committed, after.committed)
    const busyMs = grown(before.busyUs, after.busyUs) / 1_000
    if (done > 0 && busyMs > 0) costs.push([record, busyMs / done])
    record += done
  }
  return costs
}

function holesOf(samples: readonly Sample[]): Hole[] {
  return steps(samples).flatMap(([before, after]) => {
    const span = after.at - before.at
    if (span <= (isSilent(before) ? SILENT_HOLE_MS : HOLE_MS)) return []
    const records = grown(before.arrived ?? 0, after.arrived ?? 0)
    return [{ fromMs: before.at, toMs: after.at, records }]
  })
}

function accountOf(samples: readonly Sample[]): CostAccount {
  let account: CostAccount = { since: samples[0]!.at, elapsedMs: 0, usedMs: 0, staticMs: 0 }
  for (const [before, after] of steps(samples)) {
    const ms = after.at - before.at
    account = addCost(account, ms, before.running * ms, before.max)
  }
  return account
}

/** By the decisions, which miss nothing within a second; by the samples where those are gone. */
function changesOf(samples: readonly Sample[], decisions: readonly Decision[]) {
  const [from, to] = [samples[0]!.at, samples.at(-1)!.at]
  const decided = decisions.filter((one) => one.from !== one.to && one.at >= from && one.at <= to)
  const seen = steps(samples)
    .map(([before, { at, target }]) => ({ at, from: before.target, to: target }))
    .filter((change) => change.from !== change.to)
  return decided.length >= seen.length ? decided : seen
}

const steps = (samples: readonly Sample[]): [Sample, Sample][] =>
  samples.slice(1).map((sample, i) => [samples[i]!, sample])

/** A counter that went back (Redis was rolled back) has not grown. */
const grown = (before: number, after: number) => Math.max(0, after - before)
