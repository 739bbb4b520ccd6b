/** What courses came to: a table, and pictures over time. */
import { type Chart, chartSvg } from '../../bench/growth/chart.ts'
import { table } from '../capacity/table.ts'
import { reversalsOf } from '../contest.ts'
import { milliseconds } from '../report.ts'
import type { Course } from './course.ts'
import { type Glance, play, type Terms } from './fluid.ts'

export interface Outcome {
  course: Course
  glances: Glance[]
  /** Executors wanted at the most. */
  most: number
  /**
   * From the event until enough executors work, and until nothing waits for longer than half of what it
   * may; null without an event.
   */
  shortSeconds: number | null
  behindSeconds: number | null
  delayMs: { p50: number | null; p99: number | null; max: number }
  changes: number
  reversals: number
  executorHours: number
  /** Of these, the share in which they had work. */
  busy: number
}

export function playCourse(course: Course, terms: Terms): Outcome {
  const glances: Glance[] = []
  const { account, decisions, delays } = play(course, terms, (glance) => glances.push(glance))
  const worthMs = glances.reduce((sum, { worth }) => sum + worth, 0) / glances.length
  return {
    course,
    glances,
    most: glances.reduce((most, { wanted }) => Math.max(most, wanted), 0),
    shortSeconds: lastAfter(course, glances, ({ working, worth }) => working < worth),
    behindSeconds: lastAfter(
      course,
      glances,
      ({ behindMs }) => behindMs === null || behindMs > terms.maxResultDelayMs / 2,
    ),
    delayMs: { p50: delays.quantile(0.5), p99: delays.quantile(0.99), max: delays.maxMs },
    changes: decisions.length,
    reversals: reversalsOf(decisions).length,
    executorHours: account.usedMs / 3_600_000,
    busy: (worthMs * account.elapsedMs) / account.usedMs,
  }
}

/** From the event to the last glance of which it is true; null without an event. */
function lastAfter(
  { eventSeconds }: Course,
  glances: readonly Glance[],
  holds: (glance: Glance) => boolean,
): number | null {
  if (eventSeconds === undefined) return null
  const last = glances.findLast(holds)
  return last ? Math.max(0, last.atMs / 1_000 - eventSeconds) : 0
}

export function outcomesTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ course, ...of }) => [
    course.name,
    String(of.most),
    ...[of.shortSeconds, of.behindSeconds].map(seconds),
    ...[of.delayMs.p50, of.delayMs.p99, of.delayMs.max].map(milliseconds),
    String(of.changes),
    String(of.reversals),
    of.executorHours.toLocaleString('en', { maximumFractionDigits: 1 }),
    `${Math.round(of.busy * 100)} %`,
  ])
  const heads = [
    'course',
    'wanted at most',
    'too few for',
    'behind for',
    'p50',
    'p99',
    'max',
    'changes',
    'back',
  ]
  return table([...heads, 'executor-hours', 'busy'], rows)
}

const seconds = (value: number | null) => (value === null ? '–' : `${value.toFixed(1)} s`)

export interface Picture {
  name: string
  svg: string
}

const HOUR = 3_600

/** A picture shows these courses over a span of time. */
const pictures = [
  {
    name: 'climb',
    title: 'From 10 executors to 240 that have work',
    lines: { climb: 'start 0.3 s', 'climb-containers': '10 s', 'climb-machines': '75 s' },
    span: [50, 170],
    unit: 1,
    x: 'seconds; the load changes at 60',
    ticks: [60, 80, 100, 120, 140, 160],
  },
  {
    name: 'lost-host',
    title: '50 of 300 executors end at once, at 60 s',
    lines: { 'lost-node': 'pods', 'lost-elsewhere': 'elsewhere' },
    span: [50, 170],
    unit: 1,
    x: 'seconds',
    ticks: [60, 80, 100, 120, 140, 160],
  },
  {
    name: 'day',
    title: 'A day of a large fleet',
    lines: { day: 'at work' },
    span: [0, 24 * HOUR],
    unit: HOUR,
    x: 'hours',
    ticks: [0, 4, 8, 12, 16, 20, 24],
  },
] as const

/** Points of one line at the most. */
const POINTS_MAX = 300

export function picturesOf(outcomes: readonly Outcome[]): Picture[] {
  return pictures.map((picture) => {
    const shown = Object.entries(picture.lines).flatMap(([name, label]) => {
      const outcome = outcomes.find(({ course }) => course.name === name)
      return outcome ? [{ label, glances: thinned(within(outcome.glances, picture.span)) }] : []
    })
    const place = ({ atMs }: Glance) => atMs / 1_000 / picture.unit
    const line = (name: string, glances: readonly Glance[], of: (glance: Glance) => number) => ({
      name,
      points: glances.map((glance) => ({ x: place(glance), y: of(glance) })),
    })
    const chart: Chart = {
      title: picture.title,
      x: picture.x,
      y: 'executors',
      logX: false,
      logY: false,
      ticks: picture.ticks,
      lines: [
        line('needed', shown[0]?.glances ?? [], ({ worth }) => worth),
        ...shown.map(({ label, glances }) => line(label, glances, ({ working }) => working)),
      ],
    }
    return { name: picture.name, svg: chartSvg(chart) }
  })
}

const within = (glances: readonly Glance[], [from, to]: readonly [number, number]) =>
  glances.filter(({ atMs }) => atMs >= from * 1_000 && atMs <= to * 1_000)

function thinned(glances: readonly Glance[]): Glance[] {
  const every = Math.ceil(glances.length / POINTS_MAX)
  return glances.filter((_, i) => i % every === 0)
}
