/** A job's shards as the status tells of them: each has a slot of Redis, and so a part of the work. Pure. */
import type { Snapshot } from '../actors/measure.ts'
import { partitionOf } from '../actors/topics.ts'
import { number, plural } from './figures.ts'

/** Part of a job, in one slot of Redis. */
export interface ShardReport {
  shard: number
  partitions: number
  /** Records in its stream that are not committed, the payload bytes that wait, and entries. */
  records: number
  bytes: number
  entries: number
  pending: number
  /** The partition that the watermark waits for is one of its. */
  holdsWatermark: boolean
  /** Up to where it has closed its part of the windows. */
  closedTo: string | null
}

/** `holder` is the number of the partition that the watermark waits for. */
export const shardReports = (shards: Snapshot['shards'], holder: number | null): ShardReport[] =>
  shards.map(({ shard, partitions, waiting, waitingBytes, entries, pending, closedTo }) => ({
    shard,
    partitions,
    records: waiting,
    bytes: waitingBytes,
    entries,
    pending,
    holdsWatermark: holder !== null && partitionOf(holder) % shards.length === shard,
    closedTo: closedTo === null ? null : new Date(closedTo).toISOString(),
  }))

/** A line for each, for people; none of a job that is not divided. */
export function shardLines(shards: readonly ShardReport[]): string[] {
  if (shards.length === 1) return []
  return shards.map(({ shard, partitions, records, bytes, entries, holdsWatermark }) => {
    const mib = (bytes / 2 ** 20).toFixed(1)
    const many = `${number(entries)} ${entries === 1 ? 'entry' : 'entries'}`
    const holds = holdsWatermark ? ', holds the watermark' : ''
    return `shard ${shard}: ${plural(partitions, 'partition')}, ${number(records)} in the stream (${many}, ${mib} MiB)${holds}`
  })
}
