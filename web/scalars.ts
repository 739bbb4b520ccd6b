/** What answers of the HTTP interface are made of (schemas.ts, window-schemas.ts). */
import * as v from 'valibot'

export const time = v.pipe(v.string(), v.isoTimestamp())
export const count = v.pipe(v.number(), v.integer())
export const next = v.optional(
  v.pipe(v.string(), v.description('There is more: give it as `cursor`')),
)
/** A number that is not known is null. */
export const unknownOr = <const Schema extends v.GenericSchema>(schema: Schema) =>
  v.nullable(schema)
