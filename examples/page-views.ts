/**
 * Page views: a row a minute and site with the views, the visitors, the most-read pages, and how
 * long pages took. Views of what is no page (errors, redirects) are filtered.
 */
import { defineJob } from 'millrace'
import * as v from 'valibot'

export default defineJob({
  name: 'page-views',
  topic: 'page-views',
  schema: v.object({
    at: v.pipe(v.string(), v.isoTimestamp()),
    site: v.string(),
    path: v.string(),
    visitor: v.string(),
    status: v.pipe(v.number(), v.integer()),
    ms: v.pipe(v.number(), v.minValue(0)),
  }),
  eventTime: (view) => Date.parse(view.at),
  watermarkDelay: '30 s',
  window: { size: '1 minute' },
  filter: (view) => view.status === 200,
  groupBy: ['site'],
  aggregates: ({ count, distinct, quantiles, topK }) => ({
    views: count(),
    visitors: distinct('visitor'),
    pages: topK((view) => pageOf(view.path), 5),
    ms: quantiles('ms', [0.5, 0.99]),
  }),
})

/** The page whatever the query: `/p/7?from=mail` is `/p/7`. */
function pageOf(path: string): string {
  return path.split('?', 1)[0]!
}
