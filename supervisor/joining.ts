/**
 * Joins the parts of a window that the shards have closed: groups that are in several become one, and the
 * rows go to the job's closed stream, in the order of the groups' text. Whoever leads does it; each write
 * counts only where the joining stands where it was thought to stand, so that one who leads no more, or a
 * write whose reply was lost, makes nothing twice.
 */
import { bounds } from '../actors/config.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import { type Groups, rowBytes } from '../actors/windows/groups.ts'
import { mergedState } from '../actors/windows/state.ts'
import { gather, type Gathered, nextEnd } from './parts.ts'

/** Windows that are joined in one look. */
const WINDOWS_MAX = 20

/** As Redis has it; '' for nothing. */
interface State {
  closedTo: string
  /** The window that is being joined, by its end, and up to which group that is done. */
  closing: string
  after: string
}

export class Joining {
  readonly #store: Store
  readonly #keys: Keys
  readonly #job: Job
  #state: State
  /** Up to there windows are joined for so long that their parts need not be kept; '' for nothing. */
  readonly passed: string

  private constructor(store: Store, keys: Keys, job: Job, held: Record<string, string>) {
    this.#store = store
    this.#keys = keys
    this.#job = job
    const { closedTo = '', closing = '', closingAfter = '', passed = '' } = held
    this.passed = passed
    this.#state = { closedTo, closing, after: closingAfter }
  }

  static async open(store: Store, keys: Keys, job: Job): Promise<Joining> {
    return new Joining(store, keys, job, await store.redis.hgetall(keys.clock))
  }

  /** Joins what all shards have closed; says whether that is all of it. */
  async upTo(closedTo: number | null): Promise<boolean> {
    for (let windows = 0; windows < WINDOWS_MAX; windows++) {
      if (closedTo === null || this.#doneTo >= closedTo) return true
      const ending = await nextEnd(this.#store, this.#job, this.#keys.shards, this.#doneTo)
      if (ending === null || ending > closedTo) return this.#skipTo(closedTo)
      if (!(await this.#window(ending))) return false
    }
    return false
  }

  /** Windows that end by then are joined. */
  get #doneTo(): number {
    const { closedTo, closing } = this.#state
    if (closing !== '') return Number(closing) - this.#job.windowSlideMs
    return closedTo === '' ? -Infinity : Number(closedTo)
  }

  #skipTo(closedTo: number): Promise<boolean> {
    return this.#join({ closedTo: String(closedTo), closing: '', after: '' }, [])
  }

  /** False where another has gone on with it, or a shard has it no more. */
  async #window(ending: number): Promise<boolean> {
    for (;;) {
      const { closing, after } = this.#state
      const range = { ending, after: closing === '' ? null : after }
      const gathered = await gather(this.#store, this.#job, this.#keys.shards, range)
      if (!gathered) return false
      if (!(await this.#write(ending, gathered))) return false
      if (!gathered.more) return true
    }
  }

  async #write(ending: number, { groups, more }: Gathered): Promise<boolean> {
    const start = ending - this.#job.windowSizeMs
    const entries = entriesOf(this.#job, groups)
    for (const [i, { rows, after }] of entries.entries()) {
      const isLast = !more && i === entries.length - 1
      const next = isLast
        ? { closedTo: String(ending), closing: '', after: '' }
        : { closedTo: String(ending), closing: String(ending), after }
      if (!(await this.#join(next, [start, rows, after, isLast ? 1 : 0]))) return false
    }
    return true
  }

  async #join(next: State, written: (string | number | Buffer)[]): Promise<boolean> {
    const { closedTo, closing, after } = this.#state
    const sinks = this.#job.sinks.map(({ name }) => name)
    const { closedEntriesKept, closedBytesKept, closedEntriesHeld } = bounds
    const kept = [closedEntriesKept, closedBytesKept, closedEntriesHeld]
    const args = [closedTo, closing, after, ...kept, sinks.length, ...sinks, next.closedTo]
    const reply = await this.#store.call('join', this.#keys.base, [...args, ...written])
    if (reply === 1) this.#state = next
    return reply === 1
  }
}

/** Rows of groups in order, cut into entries, each with its last group; one without rows for none. */
function entriesOf(job: Job, groups: Groups): { rows: Buffer; after: string }[] {
  const entries: { rows: Buffer; after: string }[] = []
  let rows: Buffer[] = []
  let bytes = 0
  let after = ''
  const end = () => {
    entries.push({ rows: Buffer.concat(rows), after })
    rows = []
    bytes = 0
  }
  for (const group of [...groups.keys()].sort()) {
    if (bytes >= bounds.joinEntryBytes) end()
    const row = rowBytes(group, mergedState(job, groups.get(group)!))
    rows.push(row)
    bytes += row.length
    after = group
  }
  end()
  return entries
}
