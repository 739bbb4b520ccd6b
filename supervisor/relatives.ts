/**
 * The actors of a job besides its executors: one bridge, one process for its sinks, one for its page. They
 * belong to the supervisor that leads, and end in this order.
 */
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import type { Relative } from './options.ts'
import { bridgeRestarts, sinksRestarts, webRestarts } from './restarts.ts'
import { Ward, type WardOptions } from './ward.ts'

/** SIGTERM, and SIGKILL after this. */
const graceMs = 5_000

export class Relatives {
  readonly #wards: Readonly<Record<Relative, Ward>>

  constructor(
    shared: Omit<WardOptions, 'kind' | 'restarts' | 'graceMs' | 'release'>,
    { store, keys }: { store: Store; keys: Keys },
  ) {
    // What the bridge read is others' at once: they need not wait for its lease to end.
    const release = (bridge: string) =>
      Promise.all(keys.shards.map(({ base }) => store.call('unshare', base, [bridge])))
    this.#wards = {
      bridge: new Ward({ ...shared, kind: 'bridge', restarts: bridgeRestarts, graceMs, release }),
      sinks: new Ward({ ...shared, kind: 'sinks', restarts: sinksRestarts, graceMs }),
      web: new Ward({ ...shared, kind: 'web', restarts: webRestarts, graceMs }),
    }
  }

  get wards(): Ward[] {
    const { bridge, sinks, web } = this.#wards
    return [bridge, sinks, web]
  }

  /** What time does, and a start of each that belongs here and is missing. */
  async tend(belongs: (name: Relative) => boolean): Promise<void> {
    for (const [name, ward] of Object.entries(this.#wards) as [Relative, Ward][]) {
      await ward.tend()
      if (belongs(name) && ward.members.size === 0 && ward.mayStart) ward.start()
    }
  }

  /** Ends them, a step at a time; true when none is left. */
  async retire(reason: string): Promise<boolean> {
    for (const ward of this.wards) {
      await ward.tend()
      for (const member of ward.live()) await ward.retire(member, reason)
      if (ward.members.size > 0) return false
    }
    return true
  }
}
