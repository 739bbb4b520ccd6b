/**
 * A bridge's whole life: of several, one works by a lease and the others stand by. What it needs is
 * passed in, so that a simulation runs the same.
 */
import type { Host } from '../host.ts'
import { Lease } from '../lease.ts'
import { Lifecycle, startWhenReady } from '../lifecycle.ts'
import { Bridge, type BridgeOptions } from './bridge.ts'

export interface BridgeParts extends Omit<BridgeOptions, 'life' | 'signal'> {
  id: string | undefined
  host: Host
}

/** Which of several bridges works; short, so that a killed one is replaced within 2 s. */
const leaseMs = 1_500
const renewMs = 500

export async function runBridge(parts: BridgeParts): Promise<void> {
  const { id, host, ...options } = parts
  const { store, keys, clock, log } = options
  const life = new Lifecycle({ kind: 'bridge', id, store, keys, clock, host, log })
  await startWhenReady(life, [store], clock)
  const lease = new Lease({
    store,
    base: keys.base,
    name: 'bridge',
    holder: life.id,
    clock,
    leaseMs,
    renewMs,
  })
  while (!life.draining.aborted) {
    const lost = await lease.take(life.draining, () =>
      log.info('another bridge works; standing by'),
    )
    const signal = AbortSignal.any([lost, life.draining])
    await new Bridge({ ...options, life, signal }).run()
  }
  await lease.giveBack()
  await life.leave()
}
