/** The named courses: what an autoscaler of hundreds of executors meets. */
import { phases, type Point } from '../load.ts'
import type { Course } from './course.ts'

const hour = 3_600
const EVENT_SECONDS = 60

/** Of ours, on a machine that has them loaded; of a container on one; of one that needs a machine first. */
const starts = {
  process: [100, 500],
  container: [5_000, 15_000],
  machine: [60_000, 90_000],
} as const

/** Executors' worth of a day as people live it, by hours. */
const people: Point[] = (
  [
    [0, 12],
    [4, 6],
    [7, 40],
    [9, 130],
    [12, 210],
    [13, 160],
    [15, 225],
    [17, 240],
    [18, 210],
    [20, 90],
    [22, 30],
    [24, 12],
  ] as const
).map(([hours, worth]) => [hours * hour, worth])

const climb = {
  title: 'from 10 to 300 executors',
  seconds: 300,
  eventSeconds: EVENT_SECONDS,
  load: phases([8, EVENT_SECONDS], [240, 240]),
  warm: 10,
  max: 400,
  kind: 'elsewhere',
} as const

const steady = {
  seconds: 300,
  eventSeconds: EVENT_SECONDS,
  load: phases([240, 300]),
  warm: 300,
  max: 400,
} as const

export const courses: readonly Course[] = [
  {
    ...climb,
    name: 'climb',
    about: 'the load goes from 8 executors’ worth to 240 at once; processes start in 0.1 to 0.5 s',
    startMs: starts.process,
  },
  {
    ...climb,
    name: 'climb-containers',
    about: 'the same where a start takes 5 to 15 s',
    startMs: starts.container,
  },
  {
    ...climb,
    name: 'climb-machines',
    about: 'the same where a start takes 60 to 90 s',
    seconds: 600,
    load: phases([8, EVENT_SECONDS], [240, 540]),
    startMs: starts.machine,
  },
  {
    name: 'day',
    title: 'a day of a large fleet',
    about: 'ramps between 6 and 240 executors’ worth, and 3 % more or less each second by chance',
    seconds: 24 * hour,
    load: { points: people },
    jitter: 0.03,
    startMs: starts.process,
    warm: 15,
    max: 400,
    kind: 'elsewhere',
  },
  {
    name: 'sawtooth',
    title: 'around a threshold',
    about: 'every 30 s from 180 executors’ worth to 220 and back',
    seconds: 1_800,
    load: phases(...Array.from({ length: 60 }, (_, i) => [i % 2 === 0 ? 180 : 220, 30] as const)),
    startMs: starts.process,
    warm: 225,
    max: 400,
    kind: 'elsewhere',
  },
  {
    ...steady,
    name: 'lost-node',
    title: 'a lost node of 50 pods',
    about: '50 of 300 end at once at 60 s, are missed after 4.5 s, and count as 50 crashes',
    losses: [{ atSeconds: EVENT_SECONDS, executors: 50 }],
    startMs: starts.container,
    kind: 'pods',
  },
  {
    ...steady,
    name: 'lost-elsewhere',
    title: 'a lost host of 50, started elsewhere',
    about: 'the same where others started them: their leases end after 3 s, and nothing is counted',
    losses: [{ atSeconds: EVENT_SECONDS, executors: 50 }],
    startMs: starts.process,
    kind: 'elsewhere',
  },
  {
    ...steady,
    name: 'crash-loop',
    title: 'a restart storm',
    about: 'from 60 s to 70 s every executor dies a second after it came to work',
    crashes: { fromSeconds: 60, toSeconds: 70, afterMs: 1_000 },
    startMs: starts.process,
    kind: 'processes',
  },
]
