/**
 * What happens to connections between the pipeline and its servers. Each needs proxied servers.
 */
import { systemClock } from '../../actors/clock.ts'
import type { Direction, Pace, Proxy } from '../proxy.ts'
import { until } from '../until.ts'
import type { World } from '../world.ts'
import type { Action } from './action.ts'

export type Way = 'redis' | 'kafka'

const label = { redis: 'Redis', kafka: 'Kafka' } as const

/** Through whichever proxy it goes, the same heals it. */
function disturbed(way: Way, name: string, inject: (proxy: Proxy) => void): Action {
  return {
    name: `${label[way]}: ${name}`,
    inject: async ({ proxies }) => inject(proxies[way]),
    heal: async ({ proxies }) => proxies[way].heal(),
  }
}

export const cutConnections = (way: Way): Action =>
  disturbed(way, 'all connections cut', (proxy) => proxy.cut())

export const refuseConnections = (way: Way): Action =>
  disturbed(way, 'no new connections, and the old ones cut', (proxy) => {
    proxy.refuse()
    proxy.cut()
  })

/** The server has done what it was asked, and who asked can't know. */
export const loseReplies = (way: Way): Action =>
  disturbed(way, 'replies lost, then cut', (proxy) => proxy.loseReplies())

export const blackHole = (way: Way, directions?: readonly Direction[]): Action =>
  disturbed(way, `a black hole for ${directions?.join(' and ') ?? 'everything'}`, (proxy) =>
    proxy.blackHole(directions),
  )

/** What was asked is done late, when nobody expects it any more. */
export const holdBytes = (way: Way): Action =>
  disturbed(way, 'everything late', (proxy) => proxy.hold())

export const slowConnections = (way: Way, name: string, pace: Pace): Action =>
  disturbed(way, name, (proxy) => proxy.slow(pace))

/** `inject`, a while, `heal`. */
export async function during(world: World, action: Action, ms: number): Promise<void> {
  await action.inject(world)
  try {
    await systemClock.sleep(ms)
  } finally {
    await action.heal(world)
  }
}

/** Loses replies until so many connections were cut in the middle of one. */
export async function untilRepliesLost(world: World, way: Way, connections: number): Promise<void> {
  const proxy = world.proxies[way]
  const before = proxy.counts.cut
  const lost = async () => {
    // Connections that have come since are to lose theirs too.
    proxy.loseReplies()
    return proxy.counts.cut - before >= connections
  }
  await until('replies to be lost', lost, { everyMs: 50, timeoutMs: 30_000 })
  await loseReplies(way).heal(world)
}
