/**
 * What a random run chooses from: each act does something to a pipeline or its servers, and undoes
 * it. Acts overlap, but for two that need the same thing for themselves.
 */
import { availableParallelism } from 'node:os'
import { systemClock } from '../actors/clock.ts'
import type { Action } from './actions/action.ts'
import { kafkaFrozen, kafkaKilled, kafkaStopped, partitionsAdded } from './actions/kafka.ts'
import {
  blackHole,
  cutConnections,
  holdBytes,
  loseReplies,
  refuseConnections,
  slowConnections,
  type Way,
} from './actions/network.ts'
import {
  hogCores,
  type Kind,
  killEverything,
  killOne,
  replaceSupervisor,
  stopAndContinue,
} from './actions/processes.ts'
import {
  busyFor,
  clientsKilled,
  functionsFlushed,
  keepCopy,
  memoryFull,
  redisKilled,
  redisStopped,
  rolledBack,
} from './actions/redis.ts'
import type { Pace } from './proxy.ts'
import type { World } from './world.ts'

/** What an act takes for itself while it lasts. */
export type Part =
  | 'processes'
  | 'supervisor'
  | 'redis'
  | 'redis way'
  | 'kafka'
  | 'kafka way'
  | 'cores'

export interface Act {
  kind: string
  /** How often it is chosen, against the others. */
  weight: number
  takes: Part[]
  /** Work goes on within this time when it is over and nothing else disturbs. */
  withinMs: number
  /** How long it lasts, drawn between the two; what happens at once has none. */
  lastsMs?: [least: number, most: number]
  /** Resolves when it is undone. False where there was nobody to do it to. */
  run(world: World, lastsMs: number, random: () => number): Promise<boolean | void>
}

const SOON_MS = 2_000
const LEAD_MS = 5_000
const REDIS_MS = 5_000
const KAFKA_MS = 30_000

const kills = (kind: Kind, weight: number): Act => ({
  kind: `kill -9 ${kind}`,
  weight,
  takes: [],
  withinMs: SOON_MS,
  run: async ({ pipeline }, _, random) => (await killOne(pipeline, kind, random)) !== null,
})

const stops = (kind: Kind, weight: number, most: number): Act => ({
  kind: `SIGSTOP ${kind}`,
  weight,
  takes: kind === 'supervisor' ? ['supervisor'] : [],
  withinMs: LEAD_MS,
  lastsMs: [500, most],
  run: async ({ pipeline }, ms, random) =>
    (await stopAndContinue(pipeline, kind, ms, random)) !== null,
})

/** Injected, and healed when its time is over. */
const lasting = (
  action: Action,
  weight: number,
  takes: Part[],
  lastsMs: [number, number],
  withinMs: number,
): Act => ({
  kind: action.name,
  weight,
  takes,
  withinMs,
  lastsMs,
  async run(world, ms) {
    try {
      await action.inject(world)
      await systemClock.sleep(ms)
    } finally {
      await action.heal(world)
    }
  },
})

const once = (action: Action, weight: number, takes: Part[], withinMs: number): Act => ({
  kind: action.name,
  weight,
  takes,
  withinMs,
  run: (world) => action.inject(world),
})

const ways = (way: Way, withinMs: number): Act[] => {
  const takes: Part[] = [`${way} way`]
  const pace: Pace = { latencyMs: 20, jitterMs: 30, sliceBytesMax: 700 }
  return [
    lasting(cutConnections(way), 2, takes, [0, 1], withinMs),
    lasting(loseReplies(way), 2, takes, [100, 1_000], withinMs),
    lasting(refuseConnections(way), 1, takes, [500, 4_000], withinMs),
    lasting(blackHole(way), 1, takes, [1_000, 8_000], withinMs),
    lasting(holdBytes(way), 1, takes, [500, 3_000], withinMs),
    lasting(slowConnections(way, 'slow lines', pace), 1, takes, [2_000, 8_000], withinMs),
  ]
}

/** Redis loses its last seconds. What the monitor saw before does not bind it any more. */
const goesBack: Act = {
  kind: rolledBack.name,
  weight: 1,
  takes: ['redis', 'redis way'],
  withinMs: REDIS_MS,
  lastsMs: [1_000, 5_000],
  async run(world, ms) {
    keepCopy(world)
    await systemClock.sleep(ms)
    await rolledBack.inject(world)
    world.monitor?.forget()
    await rolledBack.heal(world)
  },
}

const supervisorDies: Act = {
  kind: 'kill -9 supervisor, and another is started',
  weight: 2,
  takes: ['supervisor'],
  withinMs: LEAD_MS,
  run: async ({ pipeline }) => void (await replaceSupervisor(pipeline)),
}

const everybodyDies: Act = {
  kind: 'kill -9 everything, and it is started again',
  weight: 0.7,
  takes: ['supervisor'],
  withinMs: LEAD_MS,
  async run({ pipeline }) {
    await killEverything(pipeline)
    await pipeline.start()
  },
}

const topicGrows: Act = {
  kind: 'Kafka: a partition is added',
  weight: 0.3,
  takes: ['kafka', 'kafka way'],
  withinMs: KAFKA_MS,
  async run(world) {
    const count = (await world.pipeline.topic.ends()).length + 1
    if (count > 8) return false
    await partitionsAdded(count).inject(world)
    return true
  },
}

const coresTaken: Act = {
  kind: 'every core taken by others',
  weight: 1,
  takes: ['cores'],
  withinMs: SOON_MS,
  lastsMs: [1_000, 6_000],
  async run(_, ms) {
    const hog = hogCores(availableParallelism())
    try {
      await systemClock.sleep(ms)
    } finally {
      await hog.end()
    }
  },
}

/** Of event times within the watermark delay, so that none of them is late by right. */
const SPAN_MS = 20_000

const backlogComes: Act = {
  kind: '5,000 records at once',
  weight: 2,
  takes: ['kafka', 'kafka way'],
  withinMs: SOON_MS,
  run: (world, _, random) => world.fill(5_000, Math.floor(random() * 2 ** 31), SPAN_MS),
}

const busy: Act = {
  kind: 'Redis: busy with the script of another',
  weight: 0.7,
  takes: ['redis'],
  withinMs: REDIS_MS,
  lastsMs: [500, 6_000],
  run: (world, ms) => busyFor(Math.round(ms)).inject(world),
}

export const acts: readonly Act[] = [
  kills('executor', 5),
  kills('bridge', 3),
  kills('web', 1),
  supervisorDies,
  everybodyDies,
  stops('executor', 2, 6_000),
  stops('bridge', 1, 6_000),
  stops('supervisor', 1, 8_000),
  lasting(redisKilled, 1.5, ['redis'], [0, 3_000], REDIS_MS),
  lasting(redisStopped, 0.5, ['redis'], [0, 5_000], REDIS_MS),
  goesBack,
  lasting(memoryFull, 1, ['redis'], [1_000, 5_000], REDIS_MS),
  busy,
  once(functionsFlushed, 1, ['redis'], SOON_MS),
  once(clientsKilled, 1, ['redis'], SOON_MS),
  ...ways('redis', REDIS_MS),
  lasting(kafkaKilled, 0.7, ['kafka'], [0, 3_000], KAFKA_MS),
  lasting(kafkaStopped, 0.5, ['kafka'], [0, 5_000], KAFKA_MS),
  lasting(kafkaFrozen, 1, ['kafka'], [500, 8_000], KAFKA_MS),
  ...ways('kafka', KAFKA_MS),
  topicGrows,
  coresTaken,
  backlogComes,
]
