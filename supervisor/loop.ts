/**
 * The supervisor's loop, observed: how late looks begin, how long they take, how old a measurement is
 * when it is decided upon, and how long decisions take to take effect.
 *
 *   begins → measured → decided → ends … → `loop` in Redis, once a second or, idle, every four → GET /metrics, /api/loop, why
 *
 * Counted since this process began, as Prometheus's counters are; only the leader tells. Costs the loop
 * at most one SET a second, and a call for each decision that has taken effect.
 */
import * as v from 'valibot'
import type { Clock } from '../actors/clock.ts'
import type { Keys } from '../actors/keys.ts'
import type { Snapshot } from '../actors/measure.ts'
import type { Store } from '../actors/redis.ts'
import { decisionSchema, recordEffect } from './decisions.ts'
import { type Effect, Effects } from './effects.ts'
import { emptyHistogram, histogramSchema, observed } from './histogram.ts'
import type { Decision } from './reasons.ts'

const accountSchema = v.object({
  /** Who leads, since when it counts, and when it last told; epoch ms. */
  supervisor: v.string(),
  since: v.number(),
  at: v.number(),
  looks: v.number(),
  /** Measurements that failed: what waits was unknown. */
  failed: v.number(),
  /** How much later than planned a look began; one that a wake brought forward is not late. */
  lateness: histogramSchema,
  /** How long looks took: measuring, deciding and acting. */
  look: histogramSchema,
  /** From the question to Redis to the decision that its answer led to. */
  age: histogramSchema,
  /** From a decision to its effect. */
  out: histogramSchema,
  in: histogramSchema,
  /** The newest decision, also one that changes nothing. */
  decision: v.nullable(decisionSchema),
})
export type LoopAccount = v.InferOutput<typeof accountSchema>

/** Between two times that Redis is told; longer while there is no executor and nothing changes. */
const saveEveryMs = { busy: 1_000, idle: 4_000 }

export class Loop {
  readonly #store: Store
  readonly #keys: Keys
  readonly #clock: Clock
  readonly #effects = new Effects()
  #account: LoopAccount
  #dueAt: number | null = null
  #measuredAt = 0
  #savedAt = Number.NEGATIVE_INFINITY
  #untold: Effect[] = []
  /** When this look began, by both clocks. */
  #begun: { elapsed: number; now: number }

  constructor(id: string, store: Store, keys: Keys, clock: Clock) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
    this.#begun = { elapsed: clock.elapsed(), now: clock.now() }
    const [lateness, look, age] = [emptyHistogram, emptyHistogram, emptyHistogram]
    const times = { lateness, look, age, out: emptyHistogram, in: emptyHistogram }
    const counts = { looks: 0, failed: 0, decision: null }
    this.#account = { supervisor: id, since: clock.now(), at: clock.now(), ...counts, ...times }
  }

  get account(): LoopAccount {
    return this.#account
  }

  get begun(): { elapsed: number; now: number } {
    return this.#begun
  }

  /** The next look is planned in `ms`. */
  pauses(ms: number): void {
    this.#dueAt = this.#clock.elapsed() + ms
  }

  begins(): void {
    this.#begun = { elapsed: this.#clock.elapsed(), now: this.#clock.now() }
    this.#account.looks++
    if (this.#dueAt !== null) this.#count('lateness', this.#begun.elapsed - this.#dueAt)
    this.#dueAt = null
  }

  /** Redis is about to be asked. */
  measures(): void {
    this.#measuredAt = this.#clock.elapsed()
  }

  /** Whether it answered, or could not even be asked. */
  measured(known: boolean): void {
    if (!known) this.#account.failed++
  }

  decided(decision: Decision, known: boolean): void {
    this.#account.decision = decision
    if (known) this.#count('age', this.#clock.elapsed() - this.#measuredAt)
  }

  /** A decision was kept under this id. */
  recorded(decision: Decision, id: string): void {
    this.#effects.decided(decision, id)
  }

  /** This process leads from now on. */
  takesOver(): void {
    this.#effects.forget()
  }

  /**
   * The look is over: the snapshot that it was about, and the executors in it that count for the target.
   * Tells Redis; rejects on an outage, and what was not told then is told at a later look.
   */
  async ends({ actors }: Snapshot, members: Snapshot['actors']): Promise<void> {
    const now = this.#clock.elapsed()
    this.#count('look', now - this.#begun.elapsed)
    const living = actors.filter(({ kind, alive }) => kind === 'executor' && alive).length
    const effects = this.#effects.look(members, living, this.#begun.now)
    for (const effect of effects) this.#count(effect.direction, effect.ms)
    this.#untold.push(...effects)
    while (this.#untold[0]) {
      await recordEffect(this.#store, this.#keys, this.#untold[0])
      this.#untold.shift()
    }
    const { decision } = this.#account
    const idle = living === 0 && decision !== null && decision.from === decision.to
    if (now - this.#savedAt < (idle ? saveEveryMs.idle : saveEveryMs.busy)) return
    this.#savedAt = now
    this.#account.at = this.#clock.now()
    await this.#store.redis.set(this.#keys.loop, JSON.stringify(this.#account))
  }

  #count(name: 'lateness' | 'look' | 'age' | 'out' | 'in', ms: number): void {
    this.#account[name] = observed(this.#account[name], Math.max(0, ms))
  }
}

/** What the leader last told; null where none did, or another version that we can't read. */
export async function readLoop(store: Store, keys: Keys): Promise<LoopAccount | null> {
  const text = await store.redis.get(keys.loop)
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), accountSchema), text)
  return parsed.success ? parsed.output : null
}
