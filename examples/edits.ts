/**
 * Edits of wikis, as Wikimedia's stream of recent changes tells them: what people (not bots) edit, how many
 * bytes that adds and removes, how many of them there are, and which titles are edited most.
 */
import { defineJob } from 'millrace'
import * as v from 'valibot'

const bytes = v.pipe(v.number(), v.integer())

export default defineJob({
  name: 'edits',
  topic: 'recentchange',
  // Of an event's thirty fields those that the job looks at; the others may be anything.
  schema: v.looseObject({
    meta: v.looseObject({ dt: v.pipe(v.string(), v.isoTimestamp()) }),
    type: v.string(),
    title: v.string(),
    user: v.string(),
    bot: v.boolean(),
    wiki: v.string(),
    // Absent where nothing has a length: a log's entry, a new category.
    length: v.optional(v.looseObject({ old: v.nullish(bytes), new: bytes })),
  }),
  eventTime: ({ meta }) => Date.parse(meta.dt),
  watermarkDelay: '1 minute',
  window: { size: '5 minutes', slide: '1 minute' },
  filter: ({ bot, type }) => !bot && (type === 'edit' || type === 'new'),
  groupBy: ['wiki'],
  aggregates: ({ count, sum, distinct, topK }) => ({
    edits: count(),
    added: sum(({ length }) => Math.max(0, grown(length)), { decimals: 0 }),
    removed: sum(({ length }) => Math.max(0, -grown(length)), { decimals: 0 }),
    editors: distinct('user'),
    titles: topK('title', 5),
  }),
})

function grown(length: { old?: number | null | undefined; new: number } | undefined): number {
  return length ? length.new - (length.old ?? 0) : 0
}
