import { describe, expect, test } from 'bun:test'
import { parseExposition } from './exposition.ts'

const gauge = '# HELP a_seconds What.\n# TYPE a_seconds gauge\n'
const histogram = '# HELP h What.\n# TYPE h histogram\n'
const buckets = 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\n'

describe('what the format does not allow is named', () => {
  const wrong: [why: string, text: string, message: RegExp][] = [
    ['no end', `${gauge}a_seconds 1`, /does not end/],
    ['no type', 'a 1\n', /no TYPE/],
    ['no help', '# TYPE a gauge\na 1\n', /without its HELP/],
    ['twice declared', `${gauge}a_seconds 1\n${gauge}`, /second HELP/],
    ['a series twice', `${gauge}a_seconds{x="1",y="2"} 1\na_seconds{y="2",x="1"} 1\n`, /twice/],
    ['a label twice', `${gauge}a_seconds{x="1",x="2"} 1\n`, /label twice/],
    ['an open quote', `${gauge}a_seconds{x="1} 1\n`, /not a sample/],
    ['no number', `${gauge}a_seconds one\n`, /not a sample/],
    ['a family without samples', gauge, /no sample/],
    ['a counter without _total', '# HELP a x\n# TYPE a counter\na 1\n', /_total/],
    ['a gauge with _total', '# HELP a_total x\n# TYPE a_total gauge\na_total 1\n', /_total/],
    ['a counter below 0', '# HELP a_total x\n# TYPE a_total counter\na_total -1\n', /counts -1/],
    ['milliseconds', '# HELP a_ms x\n# TYPE a_ms gauge\na_ms 1\n', /base unit/],
    ['no +Inf', `${histogram}h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n`, /\+Inf/],
    ['not the count', `${histogram}${buckets}h_sum 1\nh_count 3\n`, /not the count/],
    ['no sum', `${histogram}${buckets}h_count 2\n`, /parts/],
    [
      'not cumulative',
      `${histogram}h_bucket{le="1"} 3\nh_bucket{le="+Inf"} 2\nh_sum 1\nh_count 2\n`,
      /cumulative/,
    ],
  ]
  for (const [why, text, message] of wrong) {
    test(why, () => expect(() => parseExposition(text)).toThrow(message))
  }
})

test('labels, escapes and histograms are read', () => {
  const text = `${gauge}a_seconds{x="a\\"b",y=""} 1.5e-7\n${histogram}${buckets}h_sum 1\nh_count 2\n`
  const families = parseExposition(text)
  expect(families.get('a_seconds')?.samples).toEqual([
    { name: 'a_seconds', labels: { x: 'a\\"b', y: '' }, value: 1.5e-7 },
  ])
  expect(families.get('h')?.samples.map(({ value }) => value)).toEqual([1, 2, 1, 2])
})
