/** What a load comes to, as tables for people. Pure. */
import { bounds } from '../../actors/config.ts'
import { CALL_MS_MAX, callMicros, partitionsWithin, standingMicros } from './calls.ts'
import { type AssumptionName, type Assumptions, assumptionNames, costs } from './costs.ts'
import { entriesOf, type Load, microsOf, storedBytes, wireBytes } from './demand.ts'
import { type Bill, billOf, type Engine, engineBill, engines } from './money.ts'
import { hopBytes, type Needs, needsOf } from './needs.ts'
import { firstOf, partNames, partsOf, type Part, type Plant } from './parts.ts'
import { amount, money, percent, table } from './table.ts'

/** Everything about one load. */
export interface Report {
  load: Load
  plant: Plant
  recordsPerEntry: number
  micros: Record<string, number>
  parts: Part[]
  first: Part
  needs: Needs | null
  bill: Bill | null
}

export function reportOf(load: Load, plant: Plant, assumed: Assumptions): Report {
  const parts = partsOf(load, plant, assumed)
  const entries = entriesOf(load, plant, assumed)
  const needs = needsOf(load, plant, assumed)
  return {
    load,
    plant,
    recordsPerEntry: entries.records,
    micros: microsOf(load, entries),
    parts,
    first: firstOf(parts),
    needs,
    bill: needs && billOf(load, needs, assumed),
  }
}

export function partsTable({ parts }: Report): string {
  const rows = parts.map(({ name, utilisation, ceiling, has, unit }) => [
    partNames[name],
    amount(has),
    unit,
    percent(utilisation),
    amount(ceiling),
  ])
  return table(['part', 'has', 'of', 'used', 'full at records/s'], rows)
}

/** Loads side by side: what is full first today, what each needs and costs. */
export function loadsTable(named: readonly (Report & { name: string })[]): string {
  const rows = named.map(({ name, first, needs, bill }) => [
    name,
    `${partNames[first.name]}, ${first.ceiling === 0 ? 'without a record' : `${amount(first.ceiling)}/s`}`,
    ...(needs && bill
      ? [
          ...[needs.brokers, needs.bridges, needs.shards, needs.executors].map(amount),
          `${amount(needs.cores)} (${needs.machines})`,
          ...[bill.processors + bill.memory, bill.network, bill.perBillion].map(money),
        ]
      : Array<string>(8).fill('–')),
  ])
  const heads = ['load', 'full first today, at', 'brokers', 'bridges', 'shards', 'executors']
  const costs = ['vCPUs (machines)', 'CPU, memory /h', 'network /h', 'per billion']
  return table([...heads, ...costs], rows)
}

/** How far the results hang on each assumption: at the low and the high end of its range, all else alike. */
export function sensitivityTable(load: Load, plant: Plant, assumed: Assumptions): string {
  const at = (name: AssumptionName, value: number) =>
    reportOf(load, plant, { ...assumed, [name]: value })
  const rows = assumptionNames
    .filter((name) => matters(name, load))
    .map((name) => {
      const { low, high, about } = costs.assumptions[name]
      const [least, most] = [at(name, low), at(name, high)]
      return [
        name,
        `${assumed[name]} (${low} to ${high})`,
        rangeOf([least, most], ({ first }) => amount(first.ceiling)),
        rangeOf([least, most], ({ needs }) => (needs ? amount(needs.shards) : '–')),
        rangeOf([least, most], ({ bill }) => (bill ? money(bill.perBillion) : '–')),
        about,
      ]
    })
  const heads = ['assumption', 'taken (range)', 'full at', 'shards', 'per billion', 'what it is']
  return table(heads, rows)
}

/** Ratios of the codec that is not used change nothing; lz4 is also what takes what nobody compressed. */
const matters = (name: AssumptionName, { compression }: Load) =>
  (name !== 'lz4Ratio' || compression !== 'zstd') &&
  (name !== 'zstdRatio' || compression === 'zstd')

function rangeOf(ends: readonly [Report, Report], of: (report: Report) => string): string {
  const [least, most] = ends.map(of)
  return least === most ? least! : `${least} … ${most}`
}

const engineNames: Record<Engine, string> = {
  millrace: 'Millrace, three hops',
  flink: 'Flink, one hop',
  kafkaStreams: 'Kafka Streams, one hop',
  spark: 'Spark, one hop',
}

export function enginesTable(load: Load, assumed: Assumptions): string {
  const wire = wireBytes(load, assumed)
  const stored = storedBytes(load, bounds.fetchPartitionBytesMax, assumed)
  const rows = engines.map((engine) => {
    const bytes = engine === 'millrace' ? hopBytes(wire, stored) : wire
    const { processors, network, perBillion } = engineBill(engine, load, assumed, bytes)
    const cores = (load.recordsPerSecond * costs.engines[engine]) / 1e6 / assumed.utilisation
    return [
      engineNames[engine],
      costs.engines[engine].toFixed(2),
      amount(cores),
      ...[processors, network, perBillion].map(money),
    ]
  })
  return table(['engine', 'µs a record', 'vCPUs', 'CPU /h', 'network /h', 'per billion'], rows)
}

const callNames = ['measure', 'advance', 'seen', 'share', 'open', 'claim'] as const

/** How long the calls hold Redis that look at everything; those over the bound are set bold. */
export function callsTable(registers: readonly Parameters<typeof callMicros>[0][]): string {
  const rows = registers.map((register) => {
    const call = callMicros(register)
    const ms = callNames.map((name) => call[name] / 1_000)
    return [
      register.partitions.toLocaleString('en'),
      String(register.bridges),
      String(register.executors),
      ...ms.map((value) => (value > CALL_MS_MAX ? `**${amount(value)}**` : amount(value))),
      percent(standingMicros(register) / 1e6),
    ]
  })
  return table(['partitions', 'bridges', 'executors', ...callNames, 'of the thread'], rows)
}

/** Partitions up to which each call stays within its bound, beside so many executors and one bridge. */
export function boundsTable(executors: readonly number[]): string {
  const rows = callNames
    .filter((name) => name !== 'claim')
    .map((name) => [
      name,
      ...executors.map((count) => amount(partitionsWithin(name, { bridges: 1, executors: count }))),
    ])
  return table(['call', ...executors.map((count) => `${count} executors`)], rows)
}

export function loadText(load: Load): string {
  const { recordsPerSecond, recordBytes, partitions, groups, windowMs, slideMs, compression } = load
  const packed = compression === 'none' ? 'not compressed' : compression
  return (
    `${amount(recordsPerSecond)} records/s of ${recordBytes} bytes, ${packed}, ${amount(partitions)} partitions, ` +
    `${amount(groups)} groups, windows of ${windowMs / 1_000} s every ${slideMs / 1_000} s`
  )
}

export function needsText({ needs, bill }: Report): string {
  if (!needs || !bill) return 'Needs more than one shard a partition: there is no such pipeline.'
  return (
    `Needs ${needs.brokers} brokers, ${needs.bridges} bridges, ${needs.shards} shards, ` +
    `${needs.executors} executors: ${amount(needs.cores)} vCPUs on ${needs.machines} machines beside the brokers', ` +
    `${amount(needs.memoryGb)} GB, ${amount(needs.networkGbs)} GB/s between processes.\n` +
    `Costs ${money(bill.total)} an hour (${money(bill.processors)} processors, ${money(bill.memory)} memory, ` +
    `${money(bill.network)} network), ${money(bill.perBillion)} per billion records.`
  )
}
