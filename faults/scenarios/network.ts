/**
 * Faults of the network between the pipeline and its servers: lost replies, black holes, slow lines.
 */
import { during, blackHole, holdBytes, slowConnections } from '../actions/network.ts'
import { untilRepliesLost, type Way } from '../actions/network.ts'
import type { Fault } from '../fault.ts'
import type { World } from '../world.ts'
import { goesOn, nobodyBlamed } from './recovery.ts'

const BACK_WITHIN_MS = 5_000
const HOLE_MS = 15_000
const SLOW_MS = 6_000
const name = { redis: 'Redis', kafka: 'Kafka' } as const

const lostReplies = (id: string, way: Way): Fault => ({
  id,
  title: `${name[way]}'s replies are lost, and the connections with them, 30 times`,
  holds: 'what was done is not done again',
  smoke: way === 'redis',
  setting: { servers: 'proxied', sharesKafka: way === 'redis' },
  async happens(world) {
    await untilRepliesLost(world, way, 30)
    await goesOn(world, BACK_WITHIN_MS, 'lost replies')
    await nobodyBlamed(world)
  },
})

const swallowed = (id: string, way: Way): Fault => ({
  id,
  title: `a black hole of ${HOLE_MS / 1_000} s between the pipeline and ${name[way]}`,
  holds: 'connections that are dead for ever are given up; back within 5 s afterwards',
  setting: { servers: 'proxied', sharesKafka: way === 'redis' },
  async happens(world) {
    await during(world, blackHole(way), HOLE_MS)
    await goesOn(world, BACK_WITHIN_MS, 'the black hole')
    await during(world, blackHole(way, ['replies']), HOLE_MS)
    await goesOn(world, BACK_WITHIN_MS, 'the black hole for replies')
    await during(world, holdBytes(way), HOLE_MS)
    await goesOn(world, BACK_WITHIN_MS, 'bytes that came late')
    await nobodyBlamed(world)
  },
})

const slow = (id: string, way: Way): Fault => ({
  id,
  title: `slow lines to ${name[way]}: latency, slices, 64 KB/s`,
  holds: 'slower, and exact',
  setting: { servers: 'proxied', sharesKafka: way === 'redis', rate: 1_000 },
  async happens(world) {
    const lines: [string, Parameters<typeof slowConnections>[2]][] = [
      ['latency of 50 to 150 ms', { latencyMs: 50, jitterMs: 100 }],
      ['slices of 1 to 64 bytes', { sliceBytesMax: 64 }],
      ['64 KB/s', { bytesPerSecond: 64 * 1024 }],
    ]
    for (const [what, pace] of lines) await slower(world, way, what, pace)
    await nobodyBlamed(world)
  },
})

async function slower(
  world: World,
  way: Way,
  what: string,
  pace: Parameters<typeof slowConnections>[2],
): Promise<void> {
  const before = await world.committed()
  await during(world, slowConnections(way, what, pace), SLOW_MS)
  const after = await world.committed()
  world.note(`${what}: ${after - before} records in ${SLOW_MS / 1_000} s`)
  if (after === before) throw new Error(`no record was committed with ${what}`)
  await goesOn(world, BACK_WITHIN_MS, what)
}

export const networkFaults: Fault[] = [
  lostReplies('F22', 'redis'),
  lostReplies('F22b', 'kafka'),
  swallowed('F23', 'redis'),
  swallowed('F23b', 'kafka'),
  slow('F24', 'redis'),
  slow('F24b', 'kafka'),
]
