/**
 * Which partitions a bridge reads. The bridges of a job share them: each says that it lives, a few times
 * a second, and Redis answers with its share (share.lua); when one comes or goes the shares change.
 *
 *   waiting (more bridges than partitions) ──► reading ──share changed──► waiting …
 *
 * It only divides the work. What must not happen twice is guarded by the ledger's compare-and-set,
 * because a bridge can be stopped and wake up after its partitions have gone to others.
 */
import { type Clock, untilTick } from '../clock.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'

export interface SharesOptions {
  store: Store
  /** Of the shard whose partitions are shared, of so many. */
  keys: Keys
  shards: number
  id: string
  clock: Clock
}

/** What to read, until the signal: the partitions, or null for all that there are. */
export interface Share {
  partitions: ReadonlySet<number> | null
  changed: AbortSignal
}

/** Short, so that others read a killed bridge's partitions within 2 s. */
const among = { leaseMs: 1_500, renewMs: 500 }
/** One that is alone keeps its share also where it is late. */
const alone = { leaseMs: 1_900, renewMs: 1_000 }
const ALL = '*'

export class Shares {
  readonly #options: SharesOptions

  constructor(options: SharesOptions) {
    this.#options = options
  }

  /** Waits for a share; null where the signal came before. To be called when nothing is read. */
  async next(signal: AbortSignal, onStandby: () => void): Promise<Share | null> {
    const { clock } = this.#options
    for (let refusals = 0; !signal.aborted; ) {
      const share = await this.#ask([], among.leaseMs)
      if (share && share.length > 0) return this.#begin(share, signal)
      if (share) refusals++
      // Others need a look to let go of what is ours.
      if (share && refusals === 3) onStandby()
      await clock.sleep(among.renewMs, signal)
    }
    return null
  }

  /** The partitions are others' at once; where Redis is away, when the lease has ended. */
  async giveBack(): Promise<void> {
    const { store, keys, id } = this.#options
    await store.call('unshare', keys.base, [id]).catch(() => 0)
  }

  #begin(share: string[], signal: AbortSignal): Share {
    const changed = new AbortController()
    void this.#keep(share, signal, changed)
    const partitions = share[0] === ALL ? null : new Set(share.map(Number))
    return { partitions, changed: changed.signal }
  }

  async #keep(share: string[], signal: AbortSignal, changed: AbortController): Promise<void> {
    const { clock } = this.#options
    const { leaseMs, renewMs } = share[0] === ALL ? alone : among
    let heldAt = clock.elapsed()
    while (!signal.aborted) {
      await clock.sleep(untilTick(clock, renewMs), signal)
      if (signal.aborted) break
      const now = await this.#ask(share, leaseMs)
      if (now) heldAt = clock.elapsed()
      // Unknown is not lost, until the lease must have run out.
      if (now ? now.join() !== share.join() : clock.elapsed() - heldAt > leaseMs) break
    }
    changed.abort()
  }

  /** What Redis says is ours while we read `reads`; null where it does not answer. */
  async #ask(reads: string[], leaseMs: number): Promise<string[] | null> {
    const { store, keys, id } = this.#options
    try {
      const shard = [keys.shard, this.#options.shards]
      return (await store.call('share', keys.base, [id, leaseMs, ...shard, ...reads])) as string[]
    } catch {
      return null
    }
  }
}
