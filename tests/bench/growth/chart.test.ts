import { expect, test } from 'bun:test'
import { type Chart, chartSvg, linearTicks, logTicks, short } from '../../../bench/growth/chart.ts'

const chart = (values: Partial<Chart> = {}): Chart => ({
  title: 'CPU by groups',
  x: 'groups',
  y: 'µs/record',
  logX: true,
  lines: [
    { name: 'all', points: [10, 100, 1_000].map((x) => ({ x, y: 4 })) },
    { name: 'redis', points: [10, 100, 1_000].map((x, i) => ({ x, y: i })) },
  ],
  ...values,
})

const placesOf = (svg: string) =>
  Array.from(svg.matchAll(/points="([^"]*)"/g), ([, places]) =>
    places!.split(' ').map((place) => place.split(',').map(Number)),
  )

test('a logarithmic axis gives each decade the same room', () => {
  const [all] = placesOf(chartSvg(chart()))
  const [first, second, third] = all!.map(([x]) => x!)
  expect(second! - first!).toBeCloseTo(third! - second!, 0)
  const [linear] = placesOf(chartSvg(chart({ logX: false })))
  const [a, b, c] = linear!.map(([x]) => x!)
  expect((c! - b!) / (b! - a!)).toBeCloseTo(10, 0)
})

test('greater values stand higher, and 0 at the bottom', () => {
  const [all, redis] = placesOf(chartSvg(chart()))
  expect(redis!.map(([, y]) => y!)).toEqual(redis!.map(([, y]) => y!).toSorted((a, b) => b - a))
  expect(all![0]![1]!).toBeLessThan(redis![2]![1]!)
  expect(redis![0]![1]).toBe(364)
})

test('a tenfold growth is drawn on a logarithmic axis', () => {
  const lines = [{ name: 'all', points: [1, 10, 100].map((y) => ({ x: y, y })) }]
  const [all] = placesOf(chartSvg(chart({ lines })))
  const [low, middle, high] = all!.map(([, y]) => y!)
  expect(low! - middle!).toBeCloseTo(middle! - high!, 0)
})

test('what is 0 on a logarithmic axis lies at its bottom, inside of the chart', () => {
  const lines = [
    { name: 'all', points: [1, 10, 100].map((y) => ({ x: y, y })) },
    { name: 'none', points: [1, 10, 100].map((x) => ({ x, y: 0 })) },
  ]
  for (const [x, y] of placesOf(chartSvg(chart({ lines }))).flat()) {
    expect(x).toBeWithin(0, 721)
    expect(y).toBeWithin(0, 421)
  }
})

test('title, axes and lines are named, as text', () => {
  const svg = chartSvg(chart({ title: 'a < b & "c"' }))
  for (const words of ['>groups<', '>µs/record<', '>all<', '>redis<', '>1k<']) {
    expect(svg).toContain(words)
  }
  expect(svg).toContain('a &#60; b &#38; &#34;c&#34;')
})

test('a series of one point, or of none, is a chart still', () => {
  const one = chartSvg(chart({ lines: [{ name: 'all', points: [{ x: 10, y: 4 }] }] }))
  const none = chartSvg(chart({ lines: [{ name: 'all', points: [{ x: 10, y: Number.NaN }] }] }))
  for (const svg of [one, none]) expect(svg).not.toMatch(/NaN|Infinity/)
})

test('ticks are round numbers that reach over the values', () => {
  expect(linearTicks(4.4)).toEqual([0, 1, 2, 3, 4, 5])
  expect(linearTicks(100)).toEqual([0, 20, 40, 60, 80, 100])
  expect(linearTicks(0)).toEqual([0, 1])
  expect(logTicks([2.9, 1_400])).toEqual([1, 10, 100, 1_000, 10_000])
  expect(logTicks([0, 100])).toEqual(
    [0.001, 0.01, 0.1, 1, 10, 100].map((tick) => expect.closeTo(tick)),
  )
})

test('numbers are short', () => {
  expect([0.25, 215, 1_000, 292_769, 1.5e6].map(short)).toEqual([
    '0.25',
    '215',
    '1k',
    '293k',
    '1.5M',
  ])
})

test('a line of many points has named places in place of them, and no dots', () => {
  const points = Array.from({ length: 100 }, (_, x) => ({ x, y: 5 + x }))
  const lines = [{ name: 'all', points }]
  const svg = chartSvg(chart({ logX: false, logY: false, ticks: [0, 50], lines }))
  expect(svg).not.toContain('<circle')
  expect(placesOf(svg)[0]!.length).toBe(100)
  expect(svg).toContain('>50</text>')
  expect(svg).not.toContain('>51</text>')
  // Its last is twenty times its first: linear all the same.
  expect(svg).toContain('>0</text>')
})
