/**
 * What one record takes of each process: microseconds of processor time, and bytes on the wire. Pure.
 *
 *   micros = (at 225 bytes and 25 groups × by size + more by groups) × by overlap + more by smaller entries
 */
import { bounds } from '../../actors/config.ts'
import { type Assumptions, between, costs, type Process, processes } from './costs.ts'

export const compressions = ['none', 'lz4', 'zstd'] as const
export type Compression = (typeof compressions)[number]

/** What is asked of a pipeline. */
export interface Load {
  recordsPerSecond: number
  /** Of a record before compression. */
  recordBytes: number
  partitions: number
  groups: number
  windowMs: number
  slideMs: number
  compression: Compression
}

export type Micros = Record<Process, number>

/** Bytes of a record in a batch. */
export function wireBytes({ recordBytes, compression }: Load, assumed: Assumptions): number {
  switch (compression) {
    case 'none':
      return recordBytes
    case 'lz4':
      return recordBytes / assumed.lz4Ratio
    case 'zstd':
      return recordBytes / assumed.zstdRatio
    default:
      return compression satisfies never
  }
}

/**
 * Bytes of a record in the stream: batches that nobody compressed are compressed on their way, where they
 * are large. They are taken to be as large as what a fetch brings of a partition.
 */
export function storedBytes(load: Load, fetchedBytes: number, assumed: Assumptions): number {
  const isPacked = load.compression === 'none' && fetchedBytes >= bounds.compressBytesMin
  return wireBytes(isPacked ? { ...load, compression: 'lz4' } : load, assumed)
}

/** Records of a stream entry: as many as it holds, and as many as it could. */
export interface Entries {
  records: number
  full: number
  /** Of a record in it: from the bridge to Redis, in Redis, and from there to an executor. */
  recordBytes: number
}

/**
 * A bridge asks each leading broker for 4 MiB over all partitions that it reads there, so that many
 * partitions make small entries.
 */
export function entriesOf(
  load: Load,
  { bridges, brokers }: { bridges: number; brokers: number },
  assumed: Assumptions,
): Entries {
  const fetched = Math.max(1, load.partitions / (bridges * brokers))
  const share = Math.min(bounds.fetchPartitionBytesMax, bounds.fetchBytesMax / fetched)
  const bytes = share * assumed.entryFill
  const wire = wireBytes(load, assumed)
  const stored = storedBytes(load, bytes, assumed)
  const within = (records: number) => Math.min(Math.max(records, 1), bounds.entryRecordsMax)
  const full = bounds.entryBytes / storedBytes(load, bounds.fetchPartitionBytesMax, assumed)
  return {
    records: within(Math.min(bytes / wire, bounds.entryBytes / stored)),
    full: within(full),
    recordBytes: stored,
  }
}

/** Microseconds of a record, by process, in such entries. */
export function microsOf(load: Load, entries: Entries): Micros {
  const found = processes.map((name) => [name, microsOfProcess(name, load, entries)])
  return Object.fromEntries(found) as Micros
}

function microsOfProcess(name: Process, load: Load, entries: Entries): number {
  const { record, compressed, size } = costs
  const base = (load.compression === 'none' ? record : compressed).micros[name]
  const bySize = growth(size.at, size[name], load.recordBytes, record.recordBytes)
  const more = entryMicros(name) * (1 / entries.records - 1 / entries.full)
  // Bridge and Kafka pass batches on, whatever is in them.
  if (name === 'bridge' || name === 'kafka') return base * bySize + more
  const { at, ...overlap } = costs.overlap
  const byOverlap = growth(at, overlap[name], load.windowMs / load.slideMs, record.overlap)
  const byGroups = groupMicros(name, load.groups) - groupMicros(name, record.groups)
  return (base * bySize + byGroups) * byOverlap + more
}

/** How many times what it was where the base was measured. */
function growth(at: readonly number[], values: readonly number[], x: number, from: number): number {
  return between(at, values, x) / between(at, values, from)
}

/** Groups grow by powers of ten, and so do the points. */
function groupMicros(name: 'executor' | 'redis', groups: number): number {
  const { at, ...all } = costs.groups
  return between(at.map(Math.log), all[name], Math.log(groups))
}

/**
 * What each entry costs beside its records, by the two runs that differ in nothing else; µs. Runs differ by a
 * tenth when repeated, so that one with more entries may seem to have cost less: that is nothing then.
 */
export function entryMicros(name: Process): number {
  const { fewer, more, bytes, recordBytes } = costs.entries
  const shares = recordBytes / bytes.more - recordBytes / bytes.fewer
  return Math.max(0, more[name] - fewer[name]) / shares
}
