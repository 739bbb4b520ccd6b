/**
 * Sensors: a device reports several readings in one message, in units of its own. `flatMap` makes a
 * row of each in one unit; windows of a minute that slide by ten seconds tell the quantiles, least, greatest
 * and newest value of each kind in each hall.
 */
import { defineJob } from 'millrace'
import * as v from 'valibot'

const reading = v.variant('kind', [
  v.object({ kind: v.literal('temperature'), value: v.number(), unit: v.picklist(['C', 'F']) }),
  v.object({ kind: v.literal('pressure'), value: v.number(), unit: v.picklist(['bar', 'psi']) }),
])

export default defineJob({
  name: 'sensors',
  topic: 'sensors',
  schema: v.object({
    device: v.string(),
    hall: v.string(),
    at: v.pipe(v.number(), v.integer()),
    readings: v.array(reading),
  }),
  eventTime: (message) => message.at,
  watermarkDelay: '15 s',
  window: { size: '1 minute', slide: '10 s' },
  flatMap: ({ device, hall, readings }) =>
    readings.map((reading) => ({ device, hall, kind: reading.kind, value: metric(reading) })),
  groupBy: { hall: ({ hall }) => hall, kind: ({ kind }) => kind },
  aggregates: ({ count, distinct, min, max, last, quantiles }) => ({
    readings: count(),
    devices: distinct('device'),
    least: min('value'),
    greatest: max('value'),
    newest: last('value'),
    value: quantiles('value', [0.5, 0.95]),
  }),
})

/** Degrees Celsius, or bar. */
function metric({ value, unit }: v.InferOutput<typeof reading>): number {
  switch (unit) {
    case 'F':
      return round(((value - 32) * 5) / 9)
    case 'psi':
      return round(value * 0.0689476)
    case 'C':
    case 'bar':
      return value
    default:
      return unit satisfies never
  }
}

/** Three digits: what is written of a sensor says no more. */
function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
