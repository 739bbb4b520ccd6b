/**
 * Random faults over real processes, one after the other and several at once, from a seed.
 *
 *   choose an act → run it beside what is running → it is over → time until records are committed …
 *
 * The whole is one fault like any other: when the time is up everything is healed, and the same
 * checks follow. The seed repeats what is chosen and when; what processes do in between is theirs.
 */
import { seededRandom, systemClock } from '../actors/clock.ts'
import { messageOf } from '../actors/errors.ts'
import { isOutage } from '../actors/redis.ts'
import { type Act, acts, type Part } from './acts.ts'
import type { Fault } from './fault.ts'
import type { World } from './world.ts'

export interface NemesisOptions {
  seed: number
  minutes: number
  /** Seconds between two acts, on average. */
  everySeconds: number
  /** Records a second. */
  rate: number
  /** Told of each act as it begins. */
  onAct?: (line: string) => void
}

const SPIN_US = 300
/** Commits are looked for so often when recoveries are timed. */
const LOOK_EVERY_MS = 20
const HEAL_TIMEOUT_MS = 120_000

export function nemesis(options: NemesisOptions): Fault {
  const { seed, minutes, rate } = options
  return {
    id: `random-${seed}`,
    title: `${minutes} minutes of random faults, seed ${seed}`,
    holds:
      'every record counts once, none is late, none rejected that was not in hand at two kills, nothing is left',
    setting: { servers: 'proxied', rate, spinUs: SPIN_US },
    async happens(world) {
      const run = new Run(world, options)
      await run.through()
      for (const [kind, count] of run.counts) world.note(`${count} × ${kind}`)
      await blamedOnlyByKills(world)
    },
  }
}

class Run {
  /** How often each kind of act was done. */
  readonly counts = new Map<string, number>()
  readonly #world: World
  readonly #options: NemesisOptions
  readonly #random: () => number
  readonly #taken = new Set<Part>()
  readonly #running = new Set<Promise<void>>()
  /** Grows with each act that begins: whoever was alone until the end sees no other. */
  #begun = 0
  #failure: { error: unknown } | null = null

  constructor(world: World, options: NemesisOptions) {
    this.#world = world
    this.#options = options
    this.#random = seededRandom(options.seed)
  }

  /** Until the time is up and every act is undone. */
  async through(): Promise<void> {
    const { minutes, everySeconds } = this.#options
    const endsAt = systemClock.elapsed() + minutes * 60_000
    while (systemClock.elapsed() < endsAt && !this.#failure) {
      // Exponential pauses: acts come in crowds and alone.
      await systemClock.sleep(-Math.log(1 - this.#random()) * everySeconds * 1_000)
      const act = this.#choose()
      if (act) this.#begin(act)
    }
    const healed = Promise.all(this.#running).then(() => true)
    const ended = await Promise.race([healed, systemClock.sleep(HEAL_TIMEOUT_MS)])
    if (this.#failure) throw this.#failure.error
    if (!ended) throw new Error(`acts are not undone after ${HEAL_TIMEOUT_MS / 1_000} s`)
  }

  #choose(): Act | null {
    const free = acts.filter(({ takes }) => takes.every((part) => !this.#taken.has(part)))
    let place = this.#random() * free.reduce((sum, { weight }) => sum + weight, 0)
    return free.find(({ weight }) => (place -= weight) < 0) ?? null
  }

  #begin(act: Act): void {
    for (const part of act.takes) this.#taken.add(part)
    const running: Promise<void> = this.#perform(act)
      .catch((error: unknown) => {
        const message = `${act.kind}: ${messageOf(error)}`
        this.#failure ??= { error: new Error(message, { cause: error }) }
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #perform(act: Act): Promise<void> {
    const begun = ++this.#begun
    const wasAlone = this.#running.size === 0
    const [least, most] = act.lastsMs ?? [0, 0]
    const lastsMs = Math.round(least + this.#random() * (most - least))
    this.#options.onAct?.(lastsMs > 1 ? `${act.kind}, ${lastsMs} ms` : act.kind)
    let done = false
    try {
      // Nobody of that kind lives at the moment, or Redis is away and can't tell who does.
      done = (await act.run(this.#world, lastsMs, this.#random).catch(whileAway)) !== false
    } finally {
      for (const part of act.takes) this.#taken.delete(part)
    }
    if (!done) return
    this.counts.set(act.kind, (this.counts.get(act.kind) ?? 0) + 1)
    if (wasAlone && this.#begun === begun) await this.#time(act, begun)
  }

  /** How long until records are committed again, where no other act came in between. */
  async #time(act: Act, begun: number): Promise<void> {
    const startedAt = systemClock.elapsed()
    let before: number | null = null
    while (this.#begun === begun) {
      const now = await this.#world.committed().catch(() => null)
      if (now !== null) {
        before ??= now
        if (now !== before) {
          const ms = Math.round(systemClock.elapsed() - startedAt)
          this.#world.recovered({ what: act.kind, ms, withinMs: act.withinMs })
          return
        }
      }
      await systemClock.sleep(LOOK_EVERY_MS)
    }
  }
}

/**
 * The producer's records are good and in time. Two kills from outside that meet the same record are the
 * one exception: they look like a record that kills, are rejected as that, and told here.
 */
async function blamedOnlyByKills(world: World): Promise<void> {
  const { pipeline } = world
  await world.quiet()
  const { totals } = await pipeline.drained({ timeoutMs: 120_000 })
  const { redis } = pipeline.store
  const rejects = await redis.xrange(pipeline.keys.rejects, '-', '+')
  const poison = rejects.filter(([, fields]) => fields[fields.indexOf('reason') + 1] === 'poison')
  if (totals.late > 0 || totals.rejected !== poison.length) {
    throw new Error(`${totals.rejected} records rejected and ${totals.late} late`)
  }
  if (poison.length > 0) world.note(`${poison.length} × a record that was in hand at two kills`)
}

/** Nobody can be found while Redis is away. */
function whileAway(error: unknown): false {
  if (isOutage(error)) return false
  throw error
}
