import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { avg, count, defineJob, type JobDeclaration, sum } from '../../actors/job.ts'
import { anotherShape, differencesOf, shapeText } from '../../actors/shape.ts'

const schema = v.object({ at: v.number(), who: v.string(), loc: v.number() })
type Declaration = JobDeclaration<typeof schema>

const job = (change: Partial<Declaration> = {}) =>
  defineJob({
    name: 'rooms',
    topic: 'records',
    schema,
    eventTime: (record) => record.at,
    window: { size: '10 s', slide: '5 s' },
    groupBy: { who: (record) => record.who },
    aggregates: { n: count(), total: sum('loc') },
    ...change,
  })

const differences = (change: Partial<Declaration>) => differencesOf(shapeText(job()), job(change))
const texts = (change: Partial<Declaration>) => differences(change).map(({ text }) => text)

describe('the shape of a job', () => {
  test('is the same where only what comes before the panes is another', () => {
    expect(
      texts({
        topic: 'others',
        schema: v.object({ ...schema.entries, more: v.optional(v.string()) }) as never,
        filter: (record) => record.loc > 3,
        eventTime: (record) => record.at + 1,
        watermarkDelay: '5 s',
        work: (record) => record,
      }),
    ).toEqual([])
  })

  test.each<[string, Partial<Declaration>, string]>([
    [
      'another size',
      { window: { size: '20 s', slide: '5 s' } },
      'window.size was 10000 ms, and is 20000 ms',
    ],
    [
      'sessions in place of windows',
      { window: { gap: '5 s' } },
      'window was windows of 10000 ms every 5000 ms, and is sessions with a gap of 5000 ms',
    ],
    [
      'another lateness, as closed windows keep their panes by it',
      { allowedLateness: '1 minute' },
      'allowedLateness was 0 ms, and is 60000 ms',
    ],
    ['another slide', { window: { size: '10 s' } }, 'window.slide was 5000 ms, and is 10000 ms'],
    ['other groups', { groupBy: ['who'] as const }, 'the function of groupBy.who is another one'],
    ['one group less', { groupBy: {} }, 'groupBy was who, and is none'],
    [
      'an aggregate more',
      { aggregates: { n: count(), total: sum('loc'), mean: avg('loc') } },
      'aggregates was n, total, and is n, total, mean',
    ],
    [
      'other decimals',
      { aggregates: { n: count(), total: sum('loc', { decimals: 2 }) } },
      'aggregates.total was {"kind":"sum","decimals":6}, and is {"kind":"sum","decimals":2}',
    ],
    [
      'another field',
      { aggregates: { n: count(), total: sum('at') } },
      'the function of aggregates.total is another one',
    ],
  ])('%s is told', (_, change, text) => {
    expect(texts(change)).toEqual([text])
  })

  test('may be accepted where only functions were rewritten', () => {
    const rewritten = differences({ groupBy: { who: ({ who }) => who } })
    expect(rewritten).toEqual([
      { text: 'the function of groupBy.who is another one', isCode: true },
    ])
    expect(anotherShape('rooms', rewritten)).toContain('--accept-change')
    const slid = differences({ window: { size: '10 s' } })
    expect(anotherShape('rooms', slid)).not.toContain('--accept-change')
    expect(anotherShape('rooms', slid)).toContain('--as rooms-2')
  })

  test('of the first version agrees in what it has', () => {
    const first = JSON.stringify([10_000, 5_000, ['who'], ['n:count:0', 'total:sum:6']])
    expect(differencesOf(first, job())).toEqual([])
    expect(differencesOf(first, job({ window: { size: '10 s' } }))).toHaveLength(1)
    expect(
      differencesOf(first, job({ aggregates: { n: count(), total: avg('loc') } })),
    ).toHaveLength(1)
  })

  test("that nobody here can read is a newer version's, and is taken", () => {
    expect(differencesOf('{"v":9}', job())).toEqual([])
    expect(differencesOf('no JSON', job())).toEqual([])
  })
})
