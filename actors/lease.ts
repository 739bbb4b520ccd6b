/**
 * A lease in Redis: of several that ask, one holds it and the others stand by. It only saves work;
 * what must not happen twice is guarded by a compare-and-set, because a holder can be stopped and
 * wake up after its lease has gone to another.
 */
import type { Clock } from './clock.ts'
import type { Store } from './redis.ts'

export interface LeaseOptions {
  store: Store
  base: string
  /** The lease's name, a key of its own. */
  name: string
  holder: string
  clock: Clock
  leaseMs: number
  renewMs: number
}

export class Lease {
  readonly #options: LeaseOptions

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  /** Waits for the lease; the signal that it answers with is aborted when the lease is lost. */
  async take(signal: AbortSignal, onStandby: () => void): Promise<AbortSignal> {
    const { clock, renewMs } = this.#options
    for (let told = false; !signal.aborted; told = true) {
      if (await this.#renew()) break
      if (!told) onStandby()
      await clock.sleep(renewMs, signal)
    }
    const lost = new AbortController()
    void this.#keep(signal, lost)
    return lost.signal
  }

  async giveBack(): Promise<void> {
    const { store, base, name, holder } = this.#options
    await store.call('resign', base, [name, holder]).catch(() => 0)
  }

  async #keep(signal: AbortSignal, lost: AbortController): Promise<void> {
    const { clock, renewMs, leaseMs } = this.#options
    let heldAt = clock.elapsed()
    while (!signal.aborted) {
      await clock.sleep(renewMs, signal)
      const held = await this.#renew()
      if (held) heldAt = clock.elapsed()
      // Unknown (null) is not lost, until the lease must have run out.
      if (held === false || clock.elapsed() - heldAt > leaseMs) break
    }
    lost.abort()
  }

  /** True or false as Redis says; null where it does not answer. */
  async #renew(): Promise<boolean | null> {
    const { store, base, name, holder, leaseMs } = this.#options
    try {
      return (await store.call('lead', base, [name, holder, leaseMs])) === holder
    } catch {
      return null
    }
  }
}
