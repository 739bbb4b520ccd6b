/**
 * What became of the records that a test fed, read as the page, sinks and `verify` read it: the same for a
 * job in memory and for one in the real pipeline.
 */
import type { Duration, Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import { bounds } from '../actors/config.ts'
import type { Store } from '../actors/redis.ts'
import { beginning, parsePosition } from '../actors/sinks/position.ts'
import type { ClosedWindow } from '../actors/sinks/sink.ts'
import { readClosed } from '../actors/sinks/stream.ts'
import { partitionOf } from '../actors/topics.ts'
import { readClosedWindows, readOpenWindows, type WindowRow } from '../actors/windows/read.ts'

/** What Kafka says of a record that is fed. */
export interface FedMeta {
  /** Of a job with several; default the first of its list, which a pattern has not. */
  topic?: string
  /** Default 0. */
  partition?: number
  key?: string | null
  headers?: Readonly<Record<string, string | null>>
  /** Epoch ms or ISO 8601; by default what the clock says. */
  timestamp?: number | string
}

export interface TestReject {
  topic: string
  partition: number
  offset: number
  reason: string
  message: string
  /** The record's first 1,024 bytes, as UTF-8. */
  value: string
}

/** A row as sinks are given it; times in epoch ms. */
export interface Telling extends WindowRow {
  revision: number
  /** Nothing can change the window any more. */
  final: boolean
}

export interface TestTotals {
  counted: number
  filtered: number
  late: number
  rejected: number
  /** Counted ones that came too late for some of their windows. */
  partly: number
}

/** A job that is fed by hand: what a case needs that is to run in memory and in the real pipeline. */
export abstract class FedJob {
  protected abstract readonly job: Job
  protected abstract readonly keys: Keys
  protected abstract readonly store: Store

  /** The clock's time, epoch ms. */
  abstract get now(): number

  /**
   * A record: what JSON can say of a value, or its bytes as text or Buffer; null for one without a
   * value. Resolves when it is committed and the windows that it lets close are closed.
   */
  abstract feed(value: unknown, meta?: FedMeta): Promise<void>

  /** Lets time pass. Partitions that have brought nothing for 30 s are idle, and windows close. */
  abstract advance(duration: Duration): Promise<void>

  /** Before anything is read. */
  protected abstract open(): Promise<void>

  /** The same for several, one after the other, of one partition. */
  async feedAll(values: Iterable<unknown>, meta: FedMeta = {}): Promise<void> {
    for (const value of values) await this.feed(value, meta)
  }

  /** Rows of open and closed windows, or of those in one state, oldest window first. */
  async windows(state?: 'open' | 'closed'): Promise<WindowRow[]> {
    await this.open()
    const read = [this.store, this.keys, this.job] as const
    const open = state === 'closed' ? [] : await readOpenWindows(...read)
    const closed = state === 'open' ? [] : await readClosedWindows(...read)
    return [...open, ...closed].sort((a, b) => a.start - b.start)
  }

  /**
   * What sinks are given, in its order: each window as often as it is told, with `revision` and whether it
   * is `final`; open ones too, where a sink of the job has `updates: true`.
   */
  async tellings(): Promise<Telling[]> {
    await this.open()
    const told: Telling[] = []
    for (let place = beginning; ; ) {
      const wanted = { updates: true }
      const { windows } = await readClosed(this.store, this.keys, this.job, place, wanted)
      if (windows.length === 0) return told
      for (const window of windows) told.push(...rowsTold(window))
      place = parsePosition(windows.at(-1)!.position)
    }
  }

  /** Records that came when all of their windows were closed, in their order. */
  async late(): Promise<TestReject[]> {
    return (await this.#rejects()).filter(({ reason }) => reason === 'late')
  }

  /** Records that were rejected, in their order. */
  async rejects(): Promise<TestReject[]> {
    return (await this.#rejects()).filter(({ reason }) => reason !== 'late')
  }

  async totals(): Promise<TestTotals> {
    const held = await this.store.redis.hgetall(this.keys.totals)
    const of = (name: string) => Number(held[name] ?? 0)
    return {
      counted: of('counted'),
      filtered: of('filtered'),
      late: of('late'),
      rejected: of('rejected'),
      partly: of('partly'),
    }
  }

  /** Epoch ms; null before the first. */
  async watermark(): Promise<number | null> {
    const watermark = await this.store.redis.hget(this.keys.clock, 'watermark')
    return watermark === null ? null : Number(watermark)
  }

  async #rejects(): Promise<TestReject[]> {
    const newest = await this.store.redis.xrevrange(
      this.keys.rejects,
      '+',
      '-',
      'COUNT',
      bounds.rejectsKept,
    )
    return newest.toReversed().map(([, fields]) => {
      const of = (name: string) => fields[fields.indexOf(name) + 1] ?? ''
      return {
        topic: of('topic'),
        partition: partitionOf(Number(of('p'))),
        offset: Number(of('o')),
        reason: of('reason'),
        message: of('message'),
        value: of('value'),
      }
    })
  }
}

function rowsTold({ start, end, revision: told, rows }: ClosedWindow): Telling[] {
  const { revision = 0, isOpen = false, isFinal = true } = told ?? {}
  const state = isOpen ? 'open' : 'closed'
  return rows.map(({ key, values }) => ({
    start,
    end,
    state,
    revision,
    final: isFinal,
    key,
    values,
  }))
}

/** Epoch ms. @throws RangeError that names what is none */
export function timeOf(name: string, time: number | string): number {
  const ms = typeof time === 'number' ? time : Date.parse(time)
  if (Number.isSafeInteger(ms)) return ms
  throw new RangeError(
    `${name} must be epoch milliseconds or ISO 8601, not ${JSON.stringify(time)}`,
  )
}

/** A value as its bytes in Kafka; text and bytes as they are, null for none. */
export function bytesOf(value: unknown): Buffer | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return Buffer.from(value)
  if (value instanceof Uint8Array) return Buffer.from(value)
  return Buffer.from(JSON.stringify(value))
}
