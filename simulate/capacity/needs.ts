/**
 * What a load needs: as many brokers, bridges, shards and executors as leave every part within its
 * utilisation, and what they use. Pure.
 */
import { bounds } from '../../actors/config.ts'
import { type Assumptions, costs } from './costs.ts'
import { entriesOf, type Load, microsOf, wireBytes } from './demand.ts'
import { executorsOf, type PartName, partsOf, type Plant } from './parts.ts'
import { smallest } from './smallest.ts'

export interface Needs extends Plant {
  executors: number
  /** Cores that are busy, in all processes; the brokers' part in giving records out included. */
  busyCores: number
  /** Cores to have, so that those are busy for their utilisation. */
  cores: number
  /** Machines that have them, the brokers' own left out. */
  machines: number
  /** Memory of our processes and of Redis; GB. */
  memoryGb: number
  /** Bytes from one process to another: Kafka to bridge, bridge to Redis, Redis to executor; GB/s. */
  networkGbs: number
}

const kafka = ['kafkaCpu', 'kafkaLink', 'kafkaDisk'] as const
const redis = ['redisThread', 'redisLink', 'redisDisk', 'stream'] as const

const BROKERS_MAX = 100_000
/** Twice as many bridges for fewer cores saved than this are not worth it. */
const WORTH_A_BRIDGE = 1.05

/**
 * A plant that leaves every part within its utilisation and takes few cores. More bridges than must be
 * make larger entries, and all others' costs hang on those: as many as still save something. Null where no number of
 * bridges or shards is enough, each with a partition at least.
 */
export function needsOf(
  load: Load,
  { coresPerMachine }: Pick<Plant, 'coresPerMachine'>,
  assumed: Assumptions,
): Needs | null {
  const one: Plant = { brokers: 1, bridges: 1, shards: 1, executorsMax: 1, coresPerMachine }
  const fits = fitsOf(load, assumed)
  const fed = (bridges: number): Plant => {
    const enough = (brokers: number) => fits({ ...one, bridges, brokers }, kafka)
    return { ...one, bridges, brokers: smallest(BROKERS_MAX, enough) ?? BROKERS_MAX }
  }
  const least = smallest(load.partitions, (bridges) => fits(fed(bridges), ['bridge']))
  if (least === null) return null
  const tried: Needs[] = []
  for (let bridges = least; bridges <= load.partitions; bridges *= 2) {
    const needs = staffed(load, fed(bridges), assumed)
    if (needs) tried.push(needs)
  }
  const fewest = Math.min(...tried.map(({ cores }) => cores))
  return tried.find(({ cores }) => cores <= fewest * WORTH_A_BRIDGE) ?? null
}

/** Executors and shards beside brokers and bridges; shards last, since they answer everybody. */
function staffed(load: Load, fed: Plant, assumed: Assumptions): Needs | null {
  const micros = microsOf(load, entriesOf(load, fed, assumed))
  const plant = { ...fed, executorsMax: executorsOf(load, micros, assumed) }
  const fits = fitsOf(load, assumed)
  const shards = smallest(load.partitions, (shards) => fits({ ...plant, shards }, redis))
  return shards === null ? null : usedBy(load, { ...plant, shards }, assumed)
}

/** Whether these parts of a plant are within their utilisation. */
const fitsOf = (load: Load, assumed: Assumptions) => (plant: Plant, names: readonly PartName[]) =>
  partsOf(load, plant, assumed)
    .filter(({ name }) => names.includes(name))
    .every(({ utilisation }) => utilisation <= assumed.utilisation + 1e-9)

const GB = 1e9
const MIB = 2 ** 20
/** Hops of a record's bytes between processes: one as Kafka has them, two as the stream has them. */
export const hopBytes = (wire: number, stored: number): number => wire + 2 * stored

function usedBy(load: Load, plant: Plant, assumed: Assumptions): Needs {
  const parts = partsOf(load, plant, assumed)
  const busy = (name: PartName) => {
    const { utilisation, has } = parts.find((part) => part.name === name)!
    return utilisation * has
  }
  const entries = entriesOf(load, plant, assumed)
  const micros = microsOf(load, entries)
  const kafkaCores = (load.recordsPerSecond * micros.kafka) / 1e6
  const redisCores = busy('redisThread') * plant.shards
  const busyCores =
    kafkaCores + busy('bridge') + redisCores + busy('executors') + busy('supervisor') + busy('web')
  const cores = busyCores / assumed.utilisation
  const { memory } = costs
  const ours = plant.executorsMax * memory.executor + plant.bridges * memory.bridge
  const mib = ours + memory.supervisor + memory.web + plant.shards * memory.redis
  const bytes = hopBytes(wireBytes(load, assumed), entries.recordBytes)
  return {
    ...plant,
    executors: plant.executorsMax,
    busyCores,
    cores,
    machines: Math.ceil((busyCores - kafkaCores) / assumed.utilisation / plant.coresPerMachine),
    memoryGb: (mib * MIB + panesBytes(load)) / GB,
    networkGbs: (bytes * load.recordsPerSecond) / GB,
  }
}

/** A group of a pane in Redis: its name, its slots and what a hash takes beside them; a guess from above. */
const GROUP_BYTES = 200
/** The shipped job's. */
const DELAY_MS = 60_000

/** Groups of all panes that are open. */
export function panesBytes({ groups, windowMs, slideMs }: Load): number {
  const panes = Math.ceil((windowMs + DELAY_MS) / slideMs) + 1
  return Math.min(groups, bounds.groupsMax) * panes * GROUP_BYTES
}
