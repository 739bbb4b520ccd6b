/**
 * The named scenarios. Records cost 70 ms as in the demonstration, so that four executors are a fleet:
 * one does 14 of them a second. Starts take 100 to 500 ms, as measured of ours.
 */
import { phases, type Point } from './load.ts'
import type { Scenario } from './scenario.ts'

const hour = 3_600
const day = 24 * hour

const usual = {
  cost: { kind: 'constant', ms: 70 },
  startMs: [100, 500],
} as const

/** Between two rates, `times` back and forth, each for `seconds`. */
const saw = (low: number, high: number, seconds: number, times: number) =>
  phases(
    ...Array.from({ length: times }, () => [
      [low, seconds] as const,
      [high, seconds] as const,
    ]).flat(),
  )

/** Hours and records a second of a day as people live it. */
const people: Point[] = (
  [
    [0, 0.3],
    [4, 0],
    [5, 0],
    [7, 4],
    [9, 18],
    [12, 30],
    [13, 22],
    [15, 34],
    [17, 40],
    [18, 36],
    [20, 14],
    [22, 3],
    [24, 0.3],
  ] as const
).map(([hours, perSecond]) => [hours * hour, perSecond])

export const scenarios: readonly Scenario[] = [
  {
    ...usual,
    name: 'demo',
    title: 'the demonstration',
    about: '10 records/s for 30 s, 40 for 30 s, then none',
    seconds: 105,
    load: phases([10, 30], [40, 30], [0, 45]),
    plan: [
      [0, 1],
      [30, 4],
      [60, 0],
    ],
  },
  {
    ...usual,
    name: 'day',
    title: 'a day with one peak',
    about:
      'the profile that is published for autoscaled Spark: 20 hours that 1 of 4 carries, 4 that need 4',
    seconds: day,
    load: phases([10, 10 * hour], [40, 4 * hour], [10, 10 * hour]),
    plan: [
      [0, 1],
      [10 * hour, 4],
      [14 * hour, 1],
    ],
  },
  {
    ...usual,
    name: 'day-real',
    title: 'a day as people live it',
    about: 'ramps, a lunch break, a quiet night, and records that come by chance (Poisson)',
    seconds: day,
    load: { points: people, poisson: true },
  },
  {
    ...usual,
    name: 'sawtooth',
    title: 'around a threshold',
    about: 'every 8 s from a load that one executor carries to one that needs two, and back',
    seconds: 640,
    load: saw(9, 15, 8, 40),
  },
  {
    ...usual,
    name: 'spike',
    title: 'a spike',
    about: '2 records/s, and for 5 s a hundred times as many',
    seconds: 180,
    load: phases([2, 60], [200, 5], [2, 115]),
  },
  {
    ...usual,
    name: 'slow-start',
    title: 'executors that start slowly',
    about: 'as the demonstration, but an executor needs 15 s to start',
    seconds: 240,
    startMs: 15_000,
    load: phases([10, 60], [40, 90], [0, 90]),
  },
  {
    ...usual,
    name: 'slow-one',
    title: 'one slow executor',
    about: 'the second executor to be born is 50 times slower than the others',
    seconds: 240,
    load: phases([10, 40], [25, 140], [10, 60]),
    slow: { 2: 50 },
  },
  {
    ...usual,
    name: 'crash-loop',
    title: 'a crash loop',
    about: 'for 30 s every executor dies a second after it came to work',
    seconds: 240,
    load: phases([20, 200], [0, 40]),
    crashes: [{ span: [60, 90], afterMs: 1_000 }],
  },
  {
    ...usual,
    name: 'outage',
    title: 'nothing can be measured',
    about: 'the measurement fails twice while the load changes: once upwards, once to nothing',
    seconds: 240,
    load: phases([10, 50], [40, 70], [0, 120]),
    blind: [
      [40, 60],
      [110, 140],
    ],
  },
  {
    ...usual,
    name: 'lagging',
    title: 'old measurements',
    about: 'as the demonstration, but what is measured is 3 s old',
    seconds: 120,
    load: phases([10, 40], [40, 40], [0, 40]),
    lagMs: 3_000,
  },
  {
    ...usual,
    name: 'full-redis',
    title: 'something that all executors wait for',
    about: 'however many work, no more than 25 records a second are done, and 40 come for a while',
    seconds: 300,
    load: phases([10, 60], [40, 120], [10, 120]),
    ceilingPerSecond: 25,
  },
  {
    ...usual,
    name: 'slow-bridge',
    title: 'records that stay in Kafka',
    about: 'no more than 13 records a second come out of Kafka: more executors would wait for them',
    seconds: 300,
    load: phases([10, 60], [40, 60], [5, 180]),
    bridgePerSecond: 13,
  },
  {
    ...usual,
    name: 'heavy-tail',
    title: 'a heavy tail',
    about: 'records cost 70 ms on average, but one in a few hundred takes seconds',
    seconds: 600,
    cost: { kind: 'pareto', ms: 70, shape: 1.5, mostMs: 10_000 },
    load: { ...phases([10, 200], [30, 200], [10, 200]), poisson: true },
  },
  {
    ...usual,
    name: 'trickle',
    title: 'a trickle',
    about: 'a record every 4 s, then one a minute: idle, but never for long, and then for long',
    seconds: 1_200,
    load: phases([0.25, 600], [1 / 60, 600]),
  },
  {
    ...usual,
    name: 'silence',
    title: 'a long silence',
    about: 'an hour without a record, then a single one',
    seconds: hour + 60,
    load: phases([0, hour - 1], [1, 1], [0, 60]),
  },
]
