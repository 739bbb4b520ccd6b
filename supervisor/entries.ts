/**
 * The register of jobs: what each leading supervisor says of its job, so that anybody on the same Redis
 * finds all of them and their pages. It holds no numbers that change: those are measured by who looks.
 *
 *   leader, every few seconds → `register`, one small entry a job → jobs.ts → GET /api/jobs, `bun run jobs`
 *
 * An entry stays when its job ends, until it is forgotten; it is then no more than a note.
 */
import * as v from 'valibot'
import { isLoopback, isPageUrl } from '../actors/binding.ts'
import type { Clock } from '../actors/clock.ts'
import { isJobName } from '../actors/names.ts'
import { shared } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'

const text = v.pipe(v.string(), v.maxLength(1_000))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))

const entrySchema = v.object({
  topics: v.pipe(v.array(text), v.maxLength(1_000)),
  /** When its supervisor began to lead, and when it last said so; epoch ms, by the supervisor's clock. */
  since: count,
  at: count,
  host: text,
  /** Where its page is; null where it has none, or one at a port that nobody knows. */
  page: v.nullable(v.pipe(text, v.check(isPageUrl))),
  limits: v.object({ min: count, max: count, policy: text, maxResultDelayMs: count }),
})
export type Entry = v.InferOutput<typeof entrySchema>
export type NamedEntry = Entry & { job: string }

const refreshEveryMs = 5_000

/** A leading supervisor's entry. */
export class Registration {
  readonly #store: Store
  readonly #clock: Clock
  readonly #job: string
  readonly #about: Pick<Entry, 'topics' | 'host' | 'page'>
  #since = 0
  #toldAt = Number.NEGATIVE_INFINITY
  #told = ''

  constructor(
    store: Store,
    clock: Clock,
    { job, ...about }: Pick<NamedEntry, 'job' | 'topics' | 'host' | 'page'>,
  ) {
    this.#store = store
    this.#clock = clock
    this.#job = job
    this.#about = about
  }

  /** Leads from now on. */
  takesOver(): void {
    this.#since = this.#clock.now()
    this.#told = ''
  }

  /** Says it again where that is due, or its limits are others; rejects on an outage. */
  async refresh({ min, max, policy, maxResultDelayMs }: Entry['limits']): Promise<void> {
    const limits = { min, max, policy, maxResultDelayMs }
    const now = this.#clock.elapsed()
    const told = JSON.stringify(limits)
    if (told === this.#told && now - this.#toldAt < refreshEveryMs) return
    const entry: Entry = { ...this.#about, since: this.#since, at: this.#clock.now(), limits }
    await this.#store.redis.hset(shared.register, this.#job, JSON.stringify(entry))
    this.#toldAt = now
    this.#told = told
  }
}

/** All entries that can be read, by name; what is none of ours is left out. */
export async function readEntries(store: Store): Promise<NamedEntry[]> {
  const held = await store.redis.hgetall(shared.register)
  const entries = Object.entries(held).flatMap(([job, json]) => {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), entrySchema), json)
    return parsed.success && isJobName(job) ? [{ job, ...parsed.output }] : []
  })
  return entries.sort((a, b) => (a.job < b.job ? -1 : 1))
}

/** How many jobs the register has. */
export const countEntries = (store: Store): Promise<number> => store.redis.hlen(shared.register)

/** Whether there was one. What the job has in Redis stays. */
export async function removeEntry(store: Store, job: string): Promise<boolean> {
  return (await store.redis.hdel(shared.register, job)) === 1
}

/**
 * The address of a job's page: what the operator says; else where its web process listens, by the name
 * of this machine where that is every address. Null without a page, or with a port that is not known.
 */
export function pageOf(
  { url, host, port, web }: { url: string | undefined; host: string; port: number; web: boolean },
  machine: string,
): string | null {
  if (!web) return null
  if (url !== undefined) return url
  if (port === 0) return null
  const everywhere = host === '0.0.0.0' || host === '::'
  const name = everywhere ? machine : isLoopback(host) ? '127.0.0.1' : host
  const address = `http://${name.includes(':') ? `[${name}]` : name}:${port}/`
  return isPageUrl(address) ? address : null
}
