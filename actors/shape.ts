/**
 * What the panes of a job mean: windows, groups, aggregates. Two versions of a job share panes only where
 * they agree on it; schema, filter, event time and work may change from one start to the next. Pure.
 *
 *   job → shape, kept in the ledger → compared by whoever opens it → what differs, in words
 */
import * as v from 'valibot'
import { sourceOf } from './fields.ts'
import type { Job } from './job.ts'

const shapeSchema = v.object({
  windowSizeMs: v.number(),
  windowSlideMs: v.number(),
  /** Of sessions; absent for windows. */
  gapMs: v.optional(v.number()),
  /** For how long closed windows keep their panes; absent for not at all. */
  allowedLatenessMs: v.optional(v.number()),
  /** Name → how a record's value is found. */
  groups: v.array(v.tuple([v.string(), v.string()])),
  /** Name → kind and parameters, and how a record's value is found. */
  aggregates: v.array(v.tuple([v.string(), v.string(), v.string()])),
})
type Shape = v.InferOutput<typeof shapeSchema>

/** What version 0.1 kept: no functions, and aggregates as `name:kind:decimals`. */
const firstSchema = v.pipe(
  v.tuple([v.number(), v.number(), v.array(v.string()), v.array(v.string())]),
  v.transform(([windowSizeMs, windowSlideMs, groups, aggregates]): Shape => {
    const parts = aggregates.map((text) => /^(.*):(\w+):(\d+)$/.exec(text)?.slice(1) ?? [text])
    return {
      windowSizeMs,
      windowSlideMs,
      groups: groups.map((name) => [name, UNKNOWN]),
      aggregates: parts.map(([name, kind, decimals]) => [
        name!,
        JSON.stringify({ kind, decimals: Number(decimals) }),
        UNKNOWN,
      ]),
    }
  }),
)
/** In place of a function's text that was not kept. */
const UNKNOWN = ''

const keptSchema = v.pipe(v.string(), v.parseJson(), v.union([shapeSchema, firstSchema]))

/** As it is kept: the same text for the same meaning. */
export const shapeText = (job: Job): string => JSON.stringify(shapeOf(job))

function shapeOf(job: Job): Shape {
  return {
    windowSizeMs: job.windowSizeMs,
    windowSlideMs: job.windowSlideMs,
    ...(job.gapMs !== null && { gapMs: job.gapMs }),
    ...(job.allowedLatenessMs > 0 && { allowedLatenessMs: job.allowedLatenessMs }),
    groups: job.groups.map(({ name, of }) => [name, sourceOf(of)]),
    aggregates: job.aggregates.map(({ name, aggregate }) => {
      const { of, ...parameters } = aggregate
      return [name, JSON.stringify(parameters), of ? sourceOf(of) : '']
    }),
  }
}

export interface Difference {
  /** For people. */
  text: string
  /** Only a function's text: its meaning may be the same. */
  isCode: boolean
}

/**
 * What of a kept shape the job does not agree with. One that we can't read is a newer version's, beside
 * which we may run during an upgrade: it is taken, and commits check the size of cells themselves.
 */
export function differencesOf(kept: string, job: Job): Difference[] {
  const parsed = v.safeParse(keptSchema, kept)
  if (!parsed.success) return []
  const [before, now] = [parsed.output, shapeOf(job)]
  return [
    ...windows(before, now),
    ...changed('groupBy', namesOf(before.groups), namesOf(now.groups)),
    ...changed('aggregates', namesOf(before.aggregates), namesOf(now.aggregates)),
    ...kinds(before, now),
    ...code('groupBy', before.groups, now.groups),
    ...code('aggregates', before.aggregates, now.aggregates),
  ]
}

/** Sessions beside windows are another kind altogether. */
function windows(before: Shape, now: Shape): Difference[] {
  if (before.gapMs === undefined && now.gapMs === undefined) {
    return [
      ...changed('window.size', `${before.windowSizeMs} ms`, `${now.windowSizeMs} ms`),
      ...changed('window.slide', `${before.windowSlideMs} ms`, `${now.windowSlideMs} ms`),
      ...changed(
        'allowedLateness',
        `${before.allowedLatenessMs ?? 0} ms`,
        `${now.allowedLatenessMs ?? 0} ms`,
      ),
    ]
  }
  return changed('window', windowText(before), windowText(now))
}

function windowText({ windowSizeMs, windowSlideMs, gapMs }: Shape): string {
  if (gapMs === undefined) return `windows of ${windowSizeMs} ms every ${windowSlideMs} ms`
  const max = Number.isSafeInteger(windowSizeMs) ? `, cut at ${windowSizeMs} ms` : ''
  return `sessions with a gap of ${gapMs} ms${max}`
}

function changed(name: string, before: string, now: string): Difference[] {
  if (before === now) return []
  return [{ text: `${name} was ${before}, and is ${now}`, isCode: false }]
}

const namesOf = (entries: readonly (readonly [string, ...string[]])[]) =>
  entries.map(([name]) => name).join(', ') || 'none'

function kinds(before: Shape, now: Shape): Difference[] {
  const known = new Map(before.aggregates.map(([name, kind]) => [name, kind]))
  return now.aggregates.flatMap(([name, kind]) => {
    const was = known.get(name)
    return was === undefined ? [] : changed(`aggregates.${name}`, was, kind)
  })
}

function code(
  field: string,
  before: readonly (readonly [string, ...string[]])[],
  now: readonly (readonly [string, ...string[]])[],
): Difference[] {
  const known = new Map(before.map((entry) => [entry[0], entry.at(-1)]))
  return now.flatMap(([name, ...rest]) => {
    const was = known.get(name)
    if (was === undefined || was === UNKNOWN || was === rest.at(-1)) return []
    return [{ text: `the function of ${field}.${name} is another one`, isCode: true }]
  })
}

/** What to say of a job whose panes mean something else now. */
export function anotherShape(name: string, differences: readonly Difference[]): string {
  const what = differences.map(({ text }) => text).join('; ')
  const accept = differences.every(({ isCode }) => isCode)
    ? ', or start once with --accept-change where the functions mean the same'
    : ''
  return `job ${name} has panes of another meaning: ${what}; run it as a version beside them (--as ${name}-2)${accept}`
}
