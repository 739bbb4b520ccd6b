/** The flags of `bun run capacity`. */
import { parseDuration } from '../../actors/duration.ts'
import { UsageError } from '../../actors/errors.ts'
import { bounds } from '../../actors/config.ts'
import { choiceFlag, numberFlag, parseFlags, wholeNumberFlag } from '../../actors/flags.ts'
import { type AssumptionName, type Assumptions, assumed, assumptionNames, costs } from './costs.ts'
import { compressions, type Load } from './demand.ts'
import { shardsRange } from '../../actors/shards.ts'
import type { Plant } from './parts.ts'

/** What the program is asked when nothing is said: a million records of the shipped job a second. */
export const usualLoad: Load = {
  recordsPerSecond: 1e6,
  recordBytes: costs.record.recordBytes,
  partitions: 64,
  groups: costs.record.groups,
  windowMs: 10_000,
  slideMs: 5_000,
  compression: 'none',
}

/** What runs where nothing is said: one Redis, one bridge, and the most executors that a supervisor takes. */
export const today: Plant = {
  brokers: 3,
  bridges: 1,
  shards: 1,
  executorsMax: 64,
  coresPerMachine: 16,
}

const { vcpuHour, gbHour, networkGb } = costs.assumptions

const command = {
  help: `
Usage: bun run capacity [options]

Computes, from what was measured (simulate/capacity/costs.json), how full each part of a pipeline is under
a load, which is full first, what the load needs, and what that costs. Nothing is started.

The load:
  --rate N             records a second (1000000)
  --bytes N            of a record before compression (${costs.record.recordBytes})
  --partitions N       of the topic (64)
  --groups N           different groups (${costs.record.groups})
  --window D, --slide D  (10s, 5s)
  --compression NAME   ${compressions.join(', ')} (none)

What it runs on:
  --shards N           masters that share the partitions, a shard on each (1; REDIS_SHARDS is at most ${shardsRange.to})
  --bridges N          (1)
  --brokers N          of Kafka (3)
  --max N              executors at the most (64)
  --cores N            of a machine (16)

  --price-vcpu P       money for a vCPU-hour (${vcpuHour.value})
  --price-gb P         money for a GB-hour of memory (${gbHour.value})
  --price-network P    money for a GB that goes between zones (${networkGb.value})
  --assume LIST        others of what is taken for granted, as name=value with commas between; of
                       ${assumptionNames.join(', ')}
  --fleet              plays fleets of hundreds of executors in virtual time instead, through the
                       supervisor's own decisions: climbs, a day, a lost host
  --page               writes the tables and pictures of docs/capacity.md
  --json               the results as JSON
  --help               this text

Exit code: 0; 2 for a mistake in the command.`,
  options: {
    rate: { type: 'string' },
    bytes: { type: 'string' },
    partitions: { type: 'string' },
    groups: { type: 'string' },
    window: { type: 'string' },
    slide: { type: 'string' },
    compression: { type: 'string', choices: compressions },
    shards: { type: 'string' },
    bridges: { type: 'string' },
    brokers: { type: 'string' },
    max: { type: 'string' },
    cores: { type: 'string' },
    'price-vcpu': { type: 'string' },
    'price-gb': { type: 'string' },
    'price-network': { type: 'string' },
    assume: { type: 'string' },
    fleet: { type: 'boolean' },
    page: { type: 'boolean' },
    json: { type: 'boolean' },
  },
} as const

export interface Asked {
  load: Load
  plant: Plant
  assumed: Assumptions
  does: 'load' | 'fleet' | 'page'
  json: boolean
}

type Values = ReturnType<typeof parseFlags<(typeof command)['options']>>['values']

/** @throws UsageError that names the flag */
export function readOptions(argv?: string[]): Asked {
  const { values } = parseFlags(command, argv)
  if (values.fleet && values.page) throw new UsageError('--fleet and --page exclude each other')
  const does = values.page ? 'page' : values.fleet ? 'fleet' : 'load'
  return {
    load: loadOf(values),
    plant: plantOf(values),
    assumed: assumptionsOf(values),
    does,
    json: values.json ?? false,
  }
}

function loadOf(values: Values): Load {
  const whole = (name: 'rate' | 'bytes' | 'partitions' | 'groups', most: number) =>
    wholeNumberFlag(name, values[name], { from: 1, to: most })
  const windowMs = spanFlag('window', values.window) ?? usualLoad.windowMs
  const slideMs = spanFlag('slide', values.slide) ?? Math.min(usualLoad.slideMs, windowMs)
  if (windowMs % slideMs !== 0) throw new UsageError('--slide must divide --window')
  return {
    recordsPerSecond: whole('rate', 1e11) ?? usualLoad.recordsPerSecond,
    recordBytes: whole('bytes', 1e6) ?? usualLoad.recordBytes,
    partitions: whole('partitions', 1e6) ?? usualLoad.partitions,
    groups: whole('groups', bounds.groupsMax) ?? usualLoad.groups,
    windowMs,
    slideMs,
    compression: choiceFlag('compression', values.compression, compressions) ?? 'none',
  }
}

function plantOf(values: Values): Plant {
  const whole = (name: 'brokers' | 'bridges' | 'shards' | 'max' | 'cores') =>
    wholeNumberFlag(name, values[name], { from: 1, to: 100_000 })
  return {
    brokers: whole('brokers') ?? today.brokers,
    bridges: whole('bridges') ?? today.bridges,
    shards: whole('shards') ?? today.shards,
    executorsMax: whole('max') ?? today.executorsMax,
    coresPerMachine: whole('cores') ?? today.coresPerMachine,
  }
}

function assumptionsOf(values: Values): Assumptions {
  const given: [AssumptionName, number | undefined][] = [
    ['vcpuHour', numberFlag('price-vcpu', values['price-vcpu'], PRICE)],
    ['gbHour', numberFlag('price-gb', values['price-gb'], PRICE)],
    ['networkGb', numberFlag('price-network', values['price-network'], PRICE)],
    ...(values.assume ?? '').split(',').filter(Boolean).map(assumptionOf),
  ]
  const known = given.filter(([, value]) => value !== undefined)
  return { ...assumed, ...Object.fromEntries(known) }
}

const PRICE = { from: 0, to: 1e6 }

function assumptionOf(text: string): [AssumptionName, number] {
  const [name, value] = text.split('=')
  const known = assumptionNames.find((one) => one === name)
  const amount = /^\d+(\.\d+)?$/.test(value ?? '') ? Number(value) : Number.NaN
  // Of a time or a size that is nothing, nothing could be computed; a share or a price may be.
  const { low } = costs.assumptions[known ?? 'replicas']
  if (known && amount >= 0 && (amount > 0 || low === 0)) return [known, amount]
  throw new UsageError(
    `--assume must be name=value of ${assumptionNames.join(', ')}, not ${JSON.stringify(text)}`,
  )
}

function spanFlag(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = parseDuration(text)
  if (ms !== null && ms >= 100 && ms <= 86_400_000) return ms
  throw new UsageError(
    `--${name} must be a duration from 100 ms to 24 h, such as 10s, not ${JSON.stringify(text)}`,
  )
}
