/**
 * A job's place among those that share executors (MILLRACE_EXECUTORS_TOTAL): makes what was decided for the
 * job fit its fair share.
 *
 *   Decision, executors there are → reserve (actors/functions/pool.lua) → Decision within the share → fleet.ts
 *
 * Guarantees: the executors of all jobs together are never more than may be, as each is reserved in one
 * atomic call before it is started; a job that has more than its share gives back by draining. While Redis
 * can't be asked nobody takes more.
 */
import * as v from 'valibot'
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { shared } from '../actors/keys.ts'
import { isOutage, type Store } from '../actors/redis.ts'
import { type Demand, fairShares } from './fair.ts'
import { change, type Decision, reasons } from './reasons.ts'

export interface PoolOptions {
  store: Store
  clock: Clock
  job: string
  /** Executors of all jobs together, at the most. */
  total: number
  weight: number
  /** Of the pool's keys. */
  base?: string
  /** How long a turn is where there are fewer executors than jobs that need one; ms. */
  turnMs?: number
}

/** Between two words with the others while nothing changes here. */
const askEveryMs = 500
const defaultTurnMs = 30_000

const whole = v.pipe(v.union([v.string(), v.number()]), v.transform(Number), v.integer())
const replySchema = v.tuple([whole, whole, whole, v.array(v.string())])

/** What Redis said last. */
interface Word {
  granted: number
  total: number
  turn: number
  others: Demand[]
}

export class Pool {
  readonly #options: PoolOptions
  #word: Word | null = null
  #said = ''
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /** Executors that the job may have now. */
  get granted(): number {
    return this.#word?.granted ?? 0
  }

  /** The decision as far as the job's share goes; `present` are all of its executors, the draining too. */
  async fit(decision: Decision, present: number): Promise<Decision> {
    const need = decision.to
    const isDue = this.#options.clock.elapsed() - this.#askedAt >= askEveryMs
    if (isDue || this.#said !== `${need} ${present}`) {
      try {
        await this.#agree(need, present)
      } catch (error) {
        if (!isOutage(error)) throw error
        // What is reserved stays so for a while; more than that nobody can say.
        return within(decision, Math.min(need, decision.from), 'what other jobs need is unknown')
      }
    }
    if (this.granted >= need) return decision
    return within(decision, this.granted, this.#because(need))
  }

  /** The job needs none any more. */
  async leave(): Promise<void> {
    const { store, job, base = shared.base } = this.#options
    this.#word = null
    await store.call('release', base, [job])
  }

  /** Asks for the share by what is known of the others, and again where that has changed it. */
  async #agree(need: number, present: number): Promise<void> {
    const asked = this.#shareOf(need)
    this.#word = await this.#reserve(need, present, asked)
    const share = this.#shareOf(need)
    if (share !== asked) this.#word = await this.#reserve(need, present, share)
    this.#said = `${need} ${present}`
    this.#askedAt = this.#options.clock.elapsed()
  }

  async #reserve(need: number, present: number, asked: number): Promise<Word> {
    const { store, job, total, weight, base = shared.base, turnMs = defaultTurnMs } = this.#options
    const args = [job, need, weight, present, asked, total, bounds.poolLeaseMs]
    const reply = v.parse(replySchema, await store.call('reserve', base, args))
    const [granted, at, least, flat] = reply
    return { granted, total: least, turn: Math.floor(at / turnMs), others: demandsOf(flat) }
  }

  #shareOf(need: number): number {
    const { job, weight, total } = this.#options
    const word = this.#word ?? { others: [], total, turn: 0 }
    const demands = [...word.others, { job, need, weight }]
    return fairShares(demands, Math.min(word.total, total), word.turn).get(job) ?? 0
  }

  #because(need: number): string {
    const { granted, total, others } = this.#word!
    const share = this.#shareOf(need)
    const wanting = others.filter((other) => other.need > 0).map((one) => `${one.job} ${one.need}`)
    const among = wanting.length > 0 ? `; others need: ${wanting.slice(0, 5).join(', ')}` : ''
    const late = granted < share ? `, of which ${share - granted} are still others'` : ''
    return `${need} needed, and its share of the ${total} executors of all jobs is ${share}${late}${among}`
  }
}

/** With so many executors in place of what was decided. */
function within(decision: Decision, to: number, because: string): Decision {
  if (to === decision.to) return decision
  const sentence = `${change(decision.from, to)}: ${because}`
  const inputs = { ...decision.inputs, wanted: decision.to, share: to }
  return { ...decision, to, reason: reasons.share, sentence, inputs }
}

function demandsOf(flat: readonly string[]): Demand[] {
  const demands: Demand[] = []
  for (let i = 0; i + 2 < flat.length; i += 3) {
    demands.push({ job: flat[i]!, need: Number(flat[i + 1]), weight: Number(flat[i + 2]) })
  }
  return demands
}
