/** A job with closed windows in a real Redis, and sinks of a test's own making. */
import * as v from 'valibot'
import { systemClock } from '../../../actors/clock.ts'
import { count, defineJob, type Job, sum } from '../../../actors/job.ts'
import { Delivery, type DeliveryOptions } from '../../../actors/sinks/delivery.ts'
import { declared, type Sink, type SinkOptions } from '../../../actors/sinks/sink.ts'
import { uniqueName } from '../../../faults/names.ts'
import { type Seeded, seed, silentLog } from '../../web/seed.ts'
import { inOrder, rowText } from './found.ts'

export const T = 1_700_000_000_000

export interface JobParts {
  sinks?: readonly Sink[]
  /** Sessions with a gap of 2 s in place of windows of 10 s. */
  sessions?: boolean
}

export const sinkJob = (name: string, { sinks = [], sessions = false }: JobParts = {}): Job =>
  defineJob({
    name,
    topic: 'records',
    schema: v.object({ at: v.number(), who: v.string(), loc: v.number() }),
    eventTime: (record) => record.at,
    watermarkDelay: '0 s',
    window: sessions ? { gap: '2 s', max: '8 s' } : { size: '10 s' },
    groupBy: ['who'],
    aggregates: { total: sum('loc'), events: count() },
    sinks,
  })

export interface Place extends Seeded {
  /** Closes so many further windows, of `groups` rows each; of sessions as many closings, and twice the rows. */
  close(windows: number, groups?: number): Promise<void>
  /** Start → rows as text, in order, of all that the closed stream has. */
  expected(): Promise<Map<number, string[]>>
  deliver(sink: Sink, parts?: Partial<DeliveryOptions>): Running
}

export interface Running {
  delivery: Delivery
  end(): Promise<void>
}

export async function openClosed(label: string, parts: JobParts = {}): Promise<Place> {
  const seeded = await seed(sinkJob(uniqueName(label), parts))
  const { store, keys, job } = seeded
  const running = new Set<Running>()
  let next = T
  return {
    ...seeded,
    async close(windows, groups = 3) {
      for (let i = 0; i < windows; i++, next += 10_000) {
        const records = Array.from({ length: groups }, (_, place) => ({
          at: next + place,
          group: [`${place} "é"\u0000'`],
          fields: { loc: place + 0.5 },
        }))
        if (parts.sessions) records.push(...records.map((one) => ({ ...one, at: one.at + 5_000 })))
        await seeded.records(records)
        await seeded.closeTo(next + 10_000)
      }
    },
    async expected() {
      const { readClosedWindows } = await import('../../../actors/windows/read.ts')
      const rows = await readClosedWindows(store, keys, job)
      const texts = new Map<number, string[]>()
      for (const { start, end, key, values } of rows) {
        texts.set(start, [...(texts.get(start) ?? []), rowText(end, key, values)])
      }
      return inOrder(texts)
    },
    deliver(sink, parts = {}) {
      const delivery = new Delivery({
        sink,
        job: { ...job, sinks: [sink] },
        store,
        keys,
        environment: {},
        clock: systemClock,
        log: silentLog,
        who: uniqueName('who'),
        onComplaint: () => {},
        ...parts,
      })
      const asked = new AbortController()
      const ended = delivery.run(asked.signal)
      const one = {
        delivery,
        async end() {
          asked.abort()
          await ended
          running.delete(one)
        },
      }
      running.add(one)
      return one
    },
    async end() {
      await Promise.all([...running].map((one) => one.end()))
      await seeded.end()
    },
  }
}

export interface Memory extends Sink {
  /** Starts of the windows in the order in which they came. */
  starts: number[]
  /** What the next writes do; they succeed where it is empty. */
  onWrite: ((windows: number[], signal: AbortSignal) => Promise<void> | void) | null
  opened: number
}

/** A sink in memory; its position is in Redis. */
export function memorySink(options: SinkOptions = {}): Memory {
  const sink: Memory = {
    ...declared('memory', options),
    starts: [],
    onWrite: null,
    opened: 0,
    address: () => 'nowhere:1',
    async open() {
      sink.opened++
      return {
        async write({ windows }, signal) {
          const starts = windows.map(({ start }) => start)
          await sink.onWrite?.(starts, signal)
          sink.starts.push(...starts)
        },
        close: () => Promise.resolve(),
      }
    },
  }
  return sink
}
