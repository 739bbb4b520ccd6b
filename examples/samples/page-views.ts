/** A shop and its documentation: visitors who come again, pages some of which are read much more. */
import { happenings, minuteMs, popular, type Sample } from './sample.ts'

interface View {
  at: string
  site: string
  path: string
  visitor: string
  status: number
  ms: number
}

const sites = [
  { site: 'shop', pages: ['/', '/cart', ...Array.from({ length: 30 }, (_, i) => `/p/${i + 1}`)] },
  { site: 'docs', pages: ['/start', '/api', '/faq', '/install', '/changes'] },
]

export const pageViews: Sample<View> = {
  make: (chance) =>
    happenings(chance, { count: 800, spanMs: 6 * minuteMs, delayMs: 8_000 }).map((at) => {
      const { site, pages } = chance.is(0.7) ? sites[0]! : sites[1]!
      const query = chance.is(0.15) ? '?from=mail' : ''
      return {
        at: new Date(at).toISOString(),
        site,
        path: popular(chance, pages) + query,
        visitor: `v${chance.whole(1, 180)}`,
        status: chance.is(0.92) ? 200 : chance.pick([301, 404, 500]),
        ms: Math.round(8 + 30 / (1 - 0.97 * chance.next())),
      }
    }),
  time: ({ at }) => Date.parse(at),
  at: (view, ms) => ({ ...view, at: new Date(ms).toISOString() }),
}
