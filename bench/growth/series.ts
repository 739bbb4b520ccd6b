/**
 * What is varied, and the values it takes; all else stays at `base`. Pure.
 */
import type { SeriesName } from './options.ts'

/** One run's setting. */
export interface Setting {
  /** Records a second that a producer offers; null: a filled topic, as fast as it goes. */
  rate: number | null
  /** Different groups; null for the shipped job's own, 25 of them. */
  groups: number | null
  slideMs: number
  partitions: number
  /** Of the padded job's records; null for the shipped job's own, about 215 bytes. */
  recordBytes: number | null
  executors: number
}

export const base: Setting = {
  rate: null,
  groups: null,
  slideMs: 5_000,
  partitions: 4,
  recordBytes: null,
  executors: 1,
}

export const WINDOW_MS = 10_000

export interface Series {
  name: SeriesName
  title: string
  /** What x is. */
  x: string
  logX: boolean
  points: { x: number; setting: Setting }[]
}

const over = (xs: number[], of: (x: number) => Partial<Setting>): Series['points'] =>
  xs.map((x) => ({ x, setting: { ...base, ...of(x) } }))

export const allSeries: Record<SeriesName, Series> = {
  rate: {
    name: 'rate',
    title: 'CPU of a record by the rate',
    x: 'records/s, the last as fast as it goes',
    logX: true,
    points: [
      ...over([1_000, 10_000, 100_000], (rate) => ({ rate })),
      // What it comes to is known afterwards.
      { x: Number.NaN, setting: base },
    ],
  },
  groups: {
    name: 'groups',
    title: 'CPU of a record by the number of groups',
    x: 'groups',
    logX: true,
    points: over([10, 100, 1_000, 10_000, 100_000], (groups) => ({ groups })),
  },
  windows: {
    name: 'windows',
    title: 'CPU of a record by the windows that overlap',
    x: 'windows that a record counts in (10 s sliding by 10, 5, 2 and 1 s)',
    logX: true,
    points: over([1, 2, 5, 10], (overlap) => ({ slideMs: WINDOW_MS / overlap })),
  },
  partitions: {
    name: 'partitions',
    title: 'CPU of a record by the partitions',
    x: 'partitions',
    logX: true,
    points: over([1, 4, 16, 64], (partitions) => ({ partitions })),
  },
  size: {
    name: 'size',
    title: 'CPU of a record by its size',
    x: 'bytes of a record',
    logX: true,
    points: over([100, 215, 1_000, 10_000, 100_000], (recordBytes) => ({ recordBytes })),
  },
  executors: {
    name: 'executors',
    title: 'CPU of a record by the executors',
    x: 'executors',
    logX: false,
    points: over([1, 2, 3, 4], (executors) => ({ executors })),
  },
}

/** Settings that are played over the same records have the same topic. */
export function topicOf({ rate, groups, partitions, recordBytes }: Setting): string {
  const parts = Object.entries({ rate, groups, partitions, bytes: recordBytes })
  return [
    'growth',
    ...parts.flatMap(([name, value]) => (value === null ? [] : [name, value])),
  ].join('-')
}

/** No more records than `bytesMax` of them. */
export const countOf = ({ recordBytes }: Setting, count: number, bytesMax: number): number =>
  Math.min(count, Math.floor(bytesMax / (recordBytes ?? 225)))
