/**
 * The executors of the virtual world, as their supervisor keeps them: started, drained, started again
 * after a crash when supervisor/restarts.ts allows it, and what they cost.
 */
import { seededRandom } from '../actors/clock.ts'
import { addCost, type CostAccount } from '../supervisor/cost.ts'
import {
  crashed,
  executorRestarts,
  lived,
  mayStart,
  noCrashes,
  type Restarts,
} from '../supervisor/restarts.ts'
import { Ceiling } from './ceiling.ts'
import { chance, type CostOf } from './cost.ts'
import { states, type Surroundings, VirtualExecutor } from './executor.ts'
import type { Scenario } from './scenario.ts'
import type { Stream } from './stream.ts'

export class Crew {
  members: VirtualExecutor[] = []
  busyMs = 0
  account: CostAccount = { since: 0, elapsedMs: 0, usedMs: 0, staticMs: 0 }
  readonly #scenario: Scenario
  readonly #world: Surroundings
  readonly #seed: number
  readonly #random: () => number
  readonly #staticSize: number
  #countedAt = 0
  #born = 0
  #restarts: Restarts = noCrashes

  constructor(
    scenario: Scenario,
    world: { stream: Stream; cost: CostOf; seed: number; staticSize: number },
  ) {
    const { stream, cost } = world
    this.#scenario = scenario
    this.#world = { stream, cost, ceiling: new Ceiling(scenario.ceilingPerSecond) }
    this.#seed = world.seed
    this.#staticSize = world.staticSize
    this.#random = seededRandom(world.seed)
  }

  /** Those that count for the target: starting or running. */
  get living(): VirtualExecutor[] {
    return this.members.filter(({ state }) => state !== states.draining)
  }

  get nextAt(): number {
    let next = Infinity
    for (const { nextAt, crashAt } of this.members) next = Math.min(next, nextAt, crashAt)
    return next
  }

  /** When the next start after a crash is allowed, from now on; 0 where it is. */
  waitMs(at: number): number {
    return Math.max(0, this.#restarts.readyAt - at)
  }

  /** Executors that are at work from the beginning. */
  warm(count: number): void {
    for (let i = 0; i < count; i++) this.#start(0, 0)
    for (const executor of this.members) this.#run(executor, 0)
  }

  /** Brings the living to the target. */
  reconcile(target: number, at: number): void {
    this.count(at)
    const { living } = this
    const oldest = Math.min(...living.map(({ startedAt }) => startedAt))
    if (living.length > 0) this.#restarts = lived(executorRestarts, this.#restarts, at - oldest)
    for (let i = living.length; i < target && mayStart(this.#restarts, at); i++) {
      this.#start(at, startMsOf(this.#scenario.startMs, chance(this.#seed, this.#born)))
    }
    const surplus = byLeastLoss(living).slice(0, Math.max(0, living.length - target))
    for (const executor of surplus) executor.drain(at)
    this.#bury()
    this.offer(at)
  }

  /** Does what is due; true where one is gone, which the supervisor hears of at once. */
  turn(at: number): boolean {
    this.count(at)
    const before = this.members.length
    for (const executor of this.members) {
      if (executor.crashAt <= at) this.#crash(executor, at)
      else if (executor.nextAt <= at) this.#step(executor, at)
    }
    this.#bury()
    if (this.members.length === before) return false
    this.offer(at)
    return true
  }

  /** Whoever has been idle for longest takes what waits. */
  offer(at: number): void {
    while (this.#world.stream.hasWork) {
      let longest: VirtualExecutor | null = null
      for (const executor of this.members) {
        if (!executor.idle) continue
        if (!longest || executor.idleSince < longest.idleSince) longest = executor
      }
      if (!longest) return
      longest.work(at)
    }
  }

  /** Counts the cost up to now, while the scenario lasts. */
  count(at: number): void {
    const until = Math.min(at, this.#scenario.seconds * 1_000)
    const ms = until - this.#countedAt
    if (ms <= 0) return
    this.account = addCost(this.account, ms, this.members.length * ms, this.#staticSize)
    this.#countedAt = until
  }

  #start(at: number, startMs: number): void {
    const slowness = this.#scenario.slow?.[++this.#born] ?? 1
    const name = { id: `e${this.#born}`, at, startMs, slowness }
    this.members.push(new VirtualExecutor(name, this.#world))
  }

  #step(executor: VirtualExecutor, at: number): void {
    if (executor.state === states.starting) return this.#run(executor, at)
    this.busyMs += executor.commit(at)
    if (!executor.gone || executor.held.length > 0) executor.work(at)
  }

  #run(executor: VirtualExecutor, at: number): void {
    executor.crashAt = crashAtOf(this.#scenario, at)
    executor.run(at)
  }

  #crash(executor: VirtualExecutor, at: number): void {
    executor.crash()
    this.members = this.members.filter((member) => member !== executor)
    const uptimeMs = executor.worked ? at - executor.startedAt : 0
    const crash = { at, uptimeMs, reason: 'killed', refused: false }
    this.#restarts = crashed(executorRestarts, this.#restarts, crash, this.#random())
  }

  #bury(): void {
    if (this.members.some(({ gone }) => gone)) {
      this.members = this.members.filter(({ gone }) => !gone)
    }
  }
}

function startMsOf(startMs: Scenario['startMs'], share: number): number {
  if (typeof startMs === 'number') return startMs
  const [from, to] = startMs
  return from + (to - from) * share
}

/** When one that comes to work at `at` dies. */
function crashAtOf({ crashes = [] }: Scenario, at: number): number {
  for (const { span, afterMs } of crashes) {
    const crashAt = Math.max(at + afterMs, span[0] * 1_000)
    if (crashAt < span[1] * 1_000) return crashAt
  }
  return Infinity
}

/** As supervisor/fleet.ts: whose going costs least comes first, then the newest. */
function byLeastLoss(living: readonly VirtualExecutor[]): VirtualExecutor[] {
  return [...living].sort((a, b) => weight(a) - weight(b) || b.startedAt - a.startedAt)
}

const weight = ({ state, idle }: VirtualExecutor) => (state === states.starting ? 0 : idle ? 1 : 2)
