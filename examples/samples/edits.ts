/** Events in the form of Wikimedia's stream of recent changes; users and titles are made up. */
import type { Chance } from '../../faults/simulation/chance.ts'
import { happenings, minuteMs, popular, type Sample } from './sample.ts'

interface Change {
  $schema: string
  meta: { uri: string; id: string; dt: string; domain: string; stream: string }
  type: string
  namespace: number
  title: string
  comment: string
  timestamp: number
  user: string
  bot: boolean
  minor?: boolean
  length?: { old?: number; new: number }
  wiki: string
}

const wikis = [
  { wiki: 'enwiki', domain: 'en.wikipedia.org' },
  { wiki: 'dewiki', domain: 'de.wikipedia.org' },
  { wiki: 'wikidatawiki', domain: 'www.wikidata.org' },
]

export const edits: Sample<Change> = {
  make: (chance) =>
    happenings(chance, { count: 500, spanMs: 12 * minuteMs, delayMs: 10_000 }).map((at, i) =>
      changeOf(chance, at, i),
    ),
  time: ({ meta }) => Date.parse(meta.dt),
  at: (change, ms) => ({
    ...change,
    meta: { ...change.meta, dt: new Date(ms).toISOString() },
    timestamp: Math.floor(ms / 1_000),
  }),
}

function changeOf(chance: Chance, at: number, i: number): Change {
  const { wiki, domain } = popular(chance, wikis)
  const bot = chance.is(wiki === 'wikidatawiki' ? 0.7 : 0.2)
  const type = chance.is(0.8) ? 'edit' : chance.pick(['new', 'log', 'categorize'])
  const subject = `Subject ${chance.whole(1, chance.is(0.3) ? 4 : 60)}`
  const title = wiki === 'wikidatawiki' ? `Q${subject.slice(8)}` : subject
  const old = chance.whole(400, 60_000)
  const grown = chance.whole(-300, 900)
  return {
    $schema: '/mediawiki/recentchange/1.0.0',
    meta: {
      uri: `https://${domain}/wiki/${title.replaceAll(' ', '_')}`,
      id: `sample-${i}`,
      dt: new Date(at).toISOString(),
      domain,
      stream: 'mediawiki.recentchange',
    },
    type,
    namespace: type === 'categorize' ? 14 : 0,
    title,
    comment: '',
    timestamp: Math.floor(at / 1_000),
    user: bot ? `Bot ${chance.whole(1, 5)}` : `Editor ${chance.whole(1, 70)}`,
    bot,
    ...(type === 'edit' ? { minor: chance.is(0.3), length: { old, new: old + grown } } : {}),
    ...(type === 'new' ? { length: { new: old } } : {}),
    wiki,
  }
}
