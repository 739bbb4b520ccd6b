/**
 * A bridge's whole life: of each shard it reads its share of the partitions for as long as that stays the
 * same, then the next one. What it needs is passed in, so that a simulation runs the same.
 */
import type { Host } from '../host.ts'
import type { TopicReader } from '../kafka.ts'
import type { Keys } from '../keys.ts'
import { Lifecycle, startWhenReady } from '../lifecycle.ts'
import { whenReady } from '../redis.ts'
import { Bridge, type BridgeOptions, type Voice } from './bridge.ts'
import { beginTogether } from './origin.ts'
import { Shares } from './share.ts'

export interface BridgeParts extends Omit<BridgeOptions, 'life' | 'connect' | 'first'> {
  id: string | undefined
  host: Host
  /** Clients that see a shard's partitions only. */
  connect: (shard: Keys) => TopicReader
}

export async function runBridge(parts: BridgeParts): Promise<void> {
  const { id, host, connect, ...options } = parts
  const { store, keys, clock, log } = options
  const account = () => ({
    records: bridges.reduce((sum, { done }) => sum + done.records, 0),
    entries: bridges.reduce((sum, { done }) => sum + done.entries, 0),
  })
  const life = new Lifecycle({ kind: 'bridge', id, store, keys, clock, host, log, account })
  const voices = voicesOf(life, keys.shards.length)
  const bridges = keys.shards.map(
    (shard, i) =>
      new Bridge({
        ...options,
        keys: shard,
        first: keys,
        connect: () => connect(shard),
        life: voices[i]!,
      }),
  )
  await startWhenReady(life, [store], clock)
  await whenReady(store, () => beginTogether({ ...options, keys }), clock)
  // Where one can't go on, the others end as well.
  const failed = new AbortController()
  const ended = AbortSignal.any([life.draining, failed.signal])
  const running = keys.shards.map(async (shard, i) => {
    const shares = new Shares({
      store,
      keys: shard,
      shards: keys.shards.length,
      id: life.id,
      clock,
    })
    await readShares(bridges[i]!, shares, ended, log)
  })
  try {
    await Promise.all(running)
  } finally {
    failed.abort()
  }
  await life.leave()
}

async function readShares(
  bridge: Bridge,
  shares: Shares,
  ended: AbortSignal,
  log: BridgeParts['log'],
): Promise<void> {
  const standBy = () => log.info('other bridges read all partitions; standing by')
  for (;;) {
    const share = await shares.next(ended, standBy)
    if (!share) break
    const signal = AbortSignal.any([share.changed, ended])
    if (share.partitions) log.info('reading a share', { partitions: [...share.partitions].join() })
    await bridge.run(share.partitions, signal)
  }
  await shares.giveBack()
}

/** One actor speaks for all shards: the first that has something to say is heard. */
function voicesOf(life: Lifecycle, count: number): Voice[] {
  const said: (string | null)[] = Array.from({ length: count }, () => null)
  return said.map((_, shard) => ({
    begin: () => {
      if (life.state === 'starting') life.to('running')
    },
    explain: (reason) => {
      said[shard] = reason
      life.explain(said.find((text) => text !== null) ?? null)
    },
  }))
}
