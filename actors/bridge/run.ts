/**
 * A bridge's whole life: it reads its share of the partitions for as long as that stays the same, then the
 * next one. What it needs is passed in, so that a simulation runs the same.
 */
import type { Host } from '../host.ts'
import { Lifecycle, startWhenReady } from '../lifecycle.ts'
import { Bridge, type BridgeOptions } from './bridge.ts'
import { Shares } from './share.ts'

export interface BridgeParts extends Omit<BridgeOptions, 'life'> {
  id: string | undefined
  host: Host
}

export async function runBridge(parts: BridgeParts): Promise<void> {
  const { id, host, ...options } = parts
  const { store, keys, clock, log } = options
  const account = () => bridge.done
  const life = new Lifecycle({ kind: 'bridge', id, store, keys, clock, host, log, account })
  const bridge = new Bridge({ ...options, life })
  await startWhenReady(life, [store], clock)
  const shares = new Shares({ store, keys, id: life.id, clock })
  const standBy = () => log.info('other bridges read all partitions; standing by')
  for (;;) {
    const share = await shares.next(life.draining, standBy)
    if (!share) break
    const signal = AbortSignal.any([share.changed, life.draining])
    if (share.partitions) log.info('reading a share', { partitions: [...share.partitions].join() })
    await bridge.run(share.partitions, signal)
  }
  await shares.giveBack()
  await life.leave()
}
