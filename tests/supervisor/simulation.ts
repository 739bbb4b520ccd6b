/**
 * A job in virtual time: records arrive at a pace, executors take time to start and work them off
 * one by one, the supervisor observes and decides. No clock, no chance but the caller's.
 */
import type { Observation } from '../../supervisor/backlog.ts'
import { decide } from '../../supervisor/decide.ts'
import { emptyHistory, type History, observe, remember } from '../../supervisor/history.ts'
import type { Decision, Fleet, Policy } from '../../supervisor/reasons.ts'

export interface World {
  policy?: Policy
  /** Records a second that come at a moment. */
  arrivals: (atMs: number) => number
  costMs: number
  /** Records a second that all executors together can do, whatever they are: a full Redis. */
  ceiling?: number
  /** Records a second that come out of Kafka, as fast as they may arrive there. */
  bridge?: number
  startMs?: number
  min?: number
  max?: number
  target?: number
  untilMs: number
  /** Moments at which measuring fails. */
  blind?: (atMs: number) => boolean
  /** The operator's changes. */
  control?: (atMs: number) => Partial<Pick<Fleet, 'min' | 'max' | 'paused'>>
}

export interface Tick {
  at: number
  backlog: number
  fleet: Fleet
  known: boolean
  decision: Decision
}

const tickMs = 250
const stepMs = 10

/** Every tick with its decision; executors that are told to go finish at once. */
export function simulate(world: World): Tick[] {
  const ticks: Tick[] = []
  const state = { arrived: 0, fetched: 0, committed: 0, busyUs: 0, target: world.target ?? 0 }
  let executors: { id: string; readyAt: number; busyMs: number }[] = []
  let history: History = emptyHistory
  let born = 0
  for (let at = 0; at <= world.untilMs; at += stepMs) {
    state.arrived += (world.arrivals(at) * stepMs) / 1_000
    state.fetched = Math.min(
      state.arrived,
      state.fetched + ((world.bridge ?? Infinity) * stepMs) / 1_000,
    )
    work(executors, state, at, world)
    if (at % tickMs !== 0) continue
    const fleet = fleetOf(world, at, state.target, executors)
    const known = !world.blind?.(at)
    history = observe(history, fleet, observationOf(state, at, known))
    const decision = decide(world.policy ?? 'backlog', fleet, history, at)
    history = remember(history, decision)
    ticks.push({ at, backlog: backlogOf(state), fleet, known, decision })
    state.target = decision.to
    while (executors.length < state.target) {
      executors.push({ id: `e${born++}`, readyAt: at + (world.startMs ?? 300), busyMs: 0 })
    }
    executors = executors.slice(0, state.target)
  }
  return ticks
}

/** Only the ticks at which the fleet changed, as `[seconds, from, to]`. */
export function changes(ticks: readonly Tick[]): [number, number, number][] {
  return ticks
    .filter(({ decision }) => decision.from !== decision.to)
    .map(({ at, decision }) => [at / 1_000, decision.from, decision.to])
}

function work(
  executors: { readyAt: number; busyMs: number }[],
  state: { fetched: number; committed: number; busyUs: number },
  at: number,
  { costMs, ceiling = Infinity }: World,
): void {
  const ready = executors.filter(({ readyAt }) => readyAt <= at)
  // Where all of them wait for one thing, each record takes them longer.
  const eachMs = Math.max(costMs, (ready.length * 1_000) / ceiling)
  for (const executor of ready) {
    const left = state.fetched - state.committed
    if (left <= 0) continue
    const done = Math.min(left, stepMs / eachMs)
    state.committed += done
    state.busyUs += done * eachMs * 1_000
    executor.busyMs += done * eachMs
  }
}

function fleetOf(
  world: World,
  at: number,
  target: number,
  executors: readonly { id: string; readyAt: number; busyMs: number }[],
): Fleet {
  return {
    target,
    running: executors.filter(({ readyAt }) => readyAt <= at).length,

    joined: 0,
    executors,
    min: world.min ?? 0,
    max: world.max ?? 4,
    paused: false,
    maxResultDelayMs: 2_000,
    useful: null,
    computing: null,
    ...world.control?.(at),
  }
}

const backlogOf = (state: { arrived: number; committed: number }) =>
  Math.floor(state.arrived) - Math.floor(state.committed)
const waitingOf = (state: { fetched: number; committed: number }) =>
  Math.floor(state.fetched) - Math.floor(state.committed)

function observationOf(
  state: { arrived: number; fetched: number; committed: number; busyUs: number },
  at: number,
  known: boolean,
): Observation {
  if (!known) return { known: false, at }
  const waiting = waitingOf(state)
  return {
    known,
    at,
    waiting,
    kafkaLag: Math.floor(state.arrived) - Math.floor(state.fetched),
    arrived: Math.floor(state.arrived),
    committed: Math.floor(state.committed),
    busyUs: Math.floor(state.busyUs),
    entries: waiting,
    undelivered: waiting,
  }
}
