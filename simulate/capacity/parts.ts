/**
 * The parts of a pipeline and how full each is: what a load takes of it, what it has, and the rate at which
 * it is full. Pure.
 *
 *   load, plant → here → parts, the first to saturate → needs.ts, report.ts
 */
import { bounds } from '../../actors/config.ts'
import { standingMicros, takerMicros, times } from './calls.ts'
import { type Assumptions, costs } from './costs.ts'
import { entriesOf, type Load, type Micros, microsOf, wireBytes } from './demand.ts'

/** What a load runs on. */
export interface Plant {
  brokers: number
  /** Bridges, each one thread. */
  bridges: number
  /** Redis servers, each one thread with a link and a disk of its own; partitions are spread evenly. */
  shards: number
  /** Executors at the most, each one thread. */
  executorsMax: number
  coresPerMachine: number
}

export const partNames = {
  kafkaCpu: 'Kafka: processors',
  kafkaLink: 'Kafka: links',
  kafkaDisk: 'Kafka: disks',
  bridge: 'bridges: threads',
  redisThread: 'Redis: the thread of a shard',
  redisLink: 'Redis: the link of a shard',
  redisDisk: 'Redis: the append-only file of a shard',
  stream: 'stream: records that may wait in a shard',
  executors: 'executors: threads',
  supervisor: 'supervisor: thread',
  web: 'web: thread',
} as const
export type PartName = keyof typeof partNames

export interface Part {
  name: PartName
  /** What is used whether records come or not, and by one record a second; in the unit of `has`. */
  standing: number
  perRecord: number
  has: number
  unit: 'threads' | 'MB/s' | 'records'
  /** Share of what it has that the load takes. */
  utilisation: number
  /** Records a second at which it is full; 0 where it is full without any. */
  ceiling: number
}

const BITS = 8
const MB = 1e6

/** All parts of the plant under the load, in data's order. */
export function partsOf(load: Load, plant: Plant, assumed: Assumptions): Part[] {
  const entries = entriesOf(load, plant, assumed)
  const micros = microsOf(load, entries)
  const wire = wireBytes(load, assumed)
  const stored = entries.recordBytes
  const part = partMaker(load.recordsPerSecond)
  const { shards } = plant
  const link = (assumed.linkGbit * 1e9) / BITS / MB
  const { replicas, diskMBs } = assumed
  const register = registerOf(load, plant, micros, assumed)
  const taker = (plant.shards * takerMicros({ ...register, executors: 0, bridges: 0 })) / 1e6
  const actors = (takerMicros(register) - takerMicros({ ...register, executors: 0 })) / 1e6
  const look = taker + actors
  const rest = (costs.record.micros.rest * costs.record.recordsPerSecond) / 1e6
  return [
    part('kafkaCpu', 'threads', {
      perRecord: (micros.kafka * (1 + assumed.produceShare * replicas)) / 1e6,
      has: plant.brokers * plant.coresPerMachine,
    }),
    part('kafkaLink', 'MB/s', { perRecord: (wire * replicas) / MB, has: plant.brokers * link }),
    part('kafkaDisk', 'MB/s', { perRecord: (wire * replicas) / MB, has: plant.brokers * diskMBs }),
    part('bridge', 'threads', { perRecord: micros.bridge / 1e6, has: plant.bridges }),
    part('redisThread', 'threads', {
      standing: standingMicros(register) / 1e6,
      perRecord: micros.redis / 1e6 / shards,
      has: 1,
    }),
    part('redisLink', 'MB/s', { perRecord: stored / MB / shards, has: link }),
    part('redisDisk', 'MB/s', { perRecord: stored / MB / shards, has: diskMBs }),
    part('stream', 'records', {
      perRecord: assumed.residenceMs / 1_000 / shards,
      has: Math.min(bounds.streamRecordsMax, bounds.streamBytesMax / stored),
    }),
    part('executors', 'threads', { perRecord: micros.executor / 1e6, has: plant.executorsMax }),
    part('supervisor', 'threads', {
      standing: times.looks * look + rest / 2,
      perRecord: 0,
      has: 1,
    }),
    part('web', 'threads', { standing: times.pageLooks * look + rest / 2, perRecord: 0, has: 1 }),
  ]
}

/** The part that is full at the lowest rate. */
export function firstOf(parts: readonly Part[]): Part {
  return parts.reduce((first, part) => (part.ceiling < first.ceiling ? part : first))
}

/** Executors at work, in the band that the policy grows a fleet to. */
export function executorsOf(load: Load, micros: Micros, assumed: Assumptions): number {
  return Math.ceil((load.recordsPerSecond * micros.executor) / 1e6 / assumed.utilisation - 1e-9)
}

/** What the shard has to tell of that holds the register of actors. */
function registerOf(load: Load, plant: Plant, micros: Micros, assumed: Assumptions) {
  return {
    partitions: load.partitions / plant.shards,
    bridges: plant.bridges,
    executors: Math.min(plant.executorsMax, executorsOf(load, micros, assumed)),
  }
}

const partMaker =
  (recordsPerSecond: number) =>
  (
    name: PartName,
    unit: Part['unit'],
    { standing = 0, perRecord, has }: { standing?: number; perRecord: number; has: number },
  ): Part => {
    const room = Math.max(0, has - standing)
    const full = perRecord === 0 ? (room > 0 ? Infinity : 0) : room / perRecord
    const utilisation = (standing + perRecord * recordsPerSecond) / has
    return { name, unit, standing, perRecord, has, utilisation, ceiling: full }
  }
