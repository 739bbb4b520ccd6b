/**
 * The records of a world, and what each of them must come to: counted, filtered, rejected with a
 * reason, or judged by time. Encoded as Kafka stores them, in record batches of format 2.
 */
import { crc32c } from '@node-rs/crc32'
import type { Chance } from './chance.ts'
import { THROWS } from './jobs.ts'
import { EPOCH } from './processes.ts'

export interface SimRecord {
  partition: number
  offset: number
  /**
   * What it is by itself: `fit` ones are counted, `value` ones rejected, unless time says otherwise.
   */
  kind: 'fit' | 'filtered' | 'future' | 'rejected' | 'value'
  /** Event time in epoch ms; null where it has no usable one. */
  time: number | null
  group: string
  /** The value in millionths. */
  micros: bigint
  /** The newest usable event time before it in its partition; null where there is none. */
  newestBefore: number | null
}

export interface SimBatch {
  from: number
  /** Half-open; past the last record where the log was compacted. */
  to: number
  records: SimRecord[]
  bytes: Buffer
  /** When it is in the log; virtual microseconds. */
  atUs: number
}

export interface RecordPlan {
  delayMs: number
  hasWork: boolean
  /** Shares, 0 to 1. */
  odd: number
  disorder: number
  late: number
  groups: number
}

/** Makes one partition's records, batch by batch. */
export class Writer {
  readonly batches: SimBatch[] = []
  #end = 0
  #newest: number | null = null
  constructor(
    readonly partition: number,
    readonly plan: RecordPlan,
    readonly chance: Chance,
  ) {}

  get end(): number {
    return this.#end
  }

  /** A batch of `count` records that comes at a moment; gaps as compaction and aborts leave them. */
  write(atUs: number, count: number): void {
    const { chance } = this
    if (chance.is(0.05)) this.#end += chance.whole(1, 5)
    const from = this.#end
    const records: SimRecord[] = []
    const values: (string | Buffer | null)[] = []
    for (let i = 0; i < count; i++) {
      if (chance.is(0.03)) this.#end++
      const { record, value } = this.#record(EPOCH + Math.floor(atUs / 1_000))
      records.push(record)
      values.push(value)
      this.#end++
    }
    if (chance.is(0.03)) this.#end++
    const to = this.#end
    const bytes = encode(from, to, EPOCH + Math.floor(atUs / 1_000), records, values)
    this.batches.push({ from, to, records, bytes, atUs })
  }

  #record(now: number): { record: SimRecord; value: string | Buffer | null } {
    const { chance, plan, partition } = this
    const record: SimRecord = {
      partition,
      offset: this.#end,
      kind: 'fit',
      time: this.#time(now),
      group: `g${chance.whole(1, plan.groups)}`,
      micros: chance.is(0.05)
        ? BigInt(chance.whole(-4_000_000, 4_000_000)) * 1_000_000_000n
        : BigInt(chance.whole(-900_000, 900_000)) * 1_000n,
      newestBefore: this.#newest,
    }
    let value: string | Buffer | null = null
    if (chance.is(plan.odd)) value = this.#odd(record)
    else value = text(record, true)
    if (record.time !== null && (this.#newest === null || record.time > this.#newest)) {
      this.#newest = record.time
    }
    return { record, value }
  }

  #time(now: number): number {
    const { chance, plan } = this
    const newest = this.#newest ?? now
    const dice = chance.next()
    // Just within the promise, and just beyond it.
    if (dice < plan.disorder) return newest - chance.whole(0, plan.delayMs)
    if (dice < plan.disorder + plan.late) return newest - plan.delayMs - chance.whole(1, 6_000)
    if (dice > 0.98) return now + chance.whole(0, 1_500)
    return now - chance.whole(0, 200)
  }

  /** One that does not simply count. */
  #odd(record: SimRecord): string | Buffer | null {
    const rejected = (value: string | Buffer | null, timed = false) => {
      record.kind = 'rejected'
      if (!timed) record.time = null
      return value
    }
    switch (this.chance.whole(0, 8)) {
      case 0:
        return rejected(null)
      case 1:
        return rejected('{"t":')
      case 2:
        return rejected('{"t":"soon","g":"a","v":1,"f":true}')
      case 3:
        return rejected(Buffer.from([0x22, 0xc3, 0x28, 0x22]))
      case 4:
        return rejected('{"t":1e30,"g":"a","v":1,"f":true}')
      case 5:
        record.kind = 'value'
        return `{"t":${record.time},"g":"a","v":1e300,"f":true}`
      case 6:
        if (!this.plan.hasWork) return text(record, true)
        record.group = THROWS
        return rejected(text(record, true), true)
      case 7: {
        const value = text({ ...record, time: record.time! + 3_600_000 }, true)
        record.kind = 'future'
        record.time = null
        return value
      }
      default:
        record.kind = 'filtered'
        return text(record, false)
    }
  }
}

function text({ time, group, micros }: SimRecord, kept: boolean): string {
  return `{"t":${time},"g":"${group}","v":${decimal(micros)},"f":${kept}}`
}

/** Millionths as JSON. */
function decimal(micros: bigint): string {
  const sign = micros < 0n ? '-' : ''
  const size = micros < 0n ? -micros : micros
  return `${sign}${size / 1_000_000n}.${String(size % 1_000_000n).padStart(6, '0')}`
}

const scratch = Buffer.alloc(256 * 1024)

function encode(
  from: number,
  to: number,
  time: number,
  records: SimRecord[],
  values: (string | Buffer | null)[],
): Buffer {
  let at = 61
  for (const [i, { offset }] of records.entries()) {
    const value = values[i]!
    const size = value === null ? 0 : value.length
    const delta = zigzag(offset - from)
    const length = value === null ? -1 : size
    // attributes, timestamp delta, offset delta, key length, value length, value, headers
    const body = 1 + 1 + width(delta) + 1 + width(zigzag(length)) + size + 1
    at = varint(at, zigzag(body))
    scratch[at++] = 0
    scratch[at++] = 0
    at = varint(at, delta)
    scratch[at++] = 1
    at = varint(at, zigzag(length))
    if (typeof value === 'string') at += scratch.write(value, at, 'latin1')
    else if (value) at += value.copy(scratch, at)
    scratch[at++] = 0
  }
  const batch = Buffer.from(scratch.subarray(0, at))
  batch.fill(0, 0, 61)
  batch.writeBigInt64BE(BigInt(from), 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch[16] = 2
  batch.writeInt32BE(to - from - 1, 23)
  batch.writeBigInt64BE(BigInt(time), 27)
  batch.writeBigInt64BE(BigInt(time), 35)
  batch.writeBigInt64BE(-1n, 43)
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  batch.writeInt32BE(records.length, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

const zigzag = (value: number) => (value >= 0 ? value * 2 : -value * 2 - 1)

function width(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

function varint(at: number, value: number): number {
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) scratch[at++] = (rest % 128) | 128
  scratch[at++] = rest
  return at
}
