/** Windows in answers of the HTTP interface; the other answers: schemas.ts. */
import * as v from 'valibot'
import { count, next, time, unknownOr } from './scalars.ts'

const groupValue = unknownOr(v.union([v.string(), v.number(), v.boolean()]))

const aggregateValues = v.record(
  v.string(),
  unknownOr(
    v.union([
      v.number(),
      v.string(),
      v.boolean(),
      v.pipe(v.record(v.string(), unknownOr(v.number())), v.description('quantiles')),
      v.pipe(
        v.array(v.object({ value: groupValue, count: v.number(), error: v.number() })),
        v.description('topK: each came `count` to `count + error` times'),
      ),
    ]),
  ),
)

const revision = v.optional(
  v.pipe(
    count,
    v.description(
      'Of a closed window that late records may still change, or that was told while it was open: how often it was told before',
    ),
  ),
)

export const windowSchema = v.object({
  start: time,
  end: time,
  state: v.picklist(['open', 'closed']),
  revision,
  key: v.record(v.string(), groupValue),
  values: aggregateValues,
})
export const windowsSchema = v.object({
  windows: v.array(windowSchema),
  next,
})
export type WindowReport = v.InferOutput<typeof windowSchema>

export const windowTotalsSchema = v.object({
  windows: v.array(
    v.object({
      start: time,
      end: time,
      state: v.picklist(['open', 'closed']),
      revision,
      groups: v.pipe(count, v.description('How many groups the window has')),
      values: v.pipe(aggregateValues, v.description('The aggregates over all groups together')),
    }),
  ),
})
export type WindowTotalReport = v.InferOutput<typeof windowTotalsSchema>['windows'][number]
