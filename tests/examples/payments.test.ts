import { expect, test } from 'bun:test'
import { testJob } from 'millrace/testing'
import job from '../../examples/payments.ts'

const start = Date.parse('2025-06-02T09:00:00Z')
const payment = (second: number, amount: number, fields: object = {}) => ({
  at: new Date(start + second * 1_000).toISOString(),
  card: 'c-01',
  merchant: `m-${second}`,
  country: 'DE',
  amount,
  approved: true,
  ...fields,
})
type Spree = { start: number; end: number }
/** In seconds. */
const bounds = (rows: Spree[]) =>
  rows
    .map((row) => [row.start, row.end].map((ms) => (ms - start) / 1_000))
    .sort(([a], [b]) => a! - b!)

test('what a card did in a spree', async () => {
  const it = testJob(job)
  await it.feedAll([
    payment(1, 12.35),
    payment(50, 0.1, { country: 'FR' }),
    payment(100, 0.2, { merchant: 'm-1' }),
    payment(110, 900, { approved: false }),
    payment(120, 5, { card: 'c-02' }),
  ])
  const rows = await it.windows()
  const [spree] = rows.filter(({ key }) => key.card === 'c-01')
  expect(bounds([spree!])).toEqual([[1, 170]])
  expect(spree!.values).toEqual({
    payments: 4,
    declined: 1,
    spent: 12.65,
    largest: 900,
    merchants: 3,
    countries: 2,
    triedOut: false,
  })
  expect(rows.find(({ key }) => key.card === 'c-02')!.values).toMatchObject({ payments: 1 })
})

/** Sprees of three small payments and a large one, which comes at `largeAt`, in seconds. */
const sprees = async (largeAt: number) => {
  const it = testJob(job)
  await it.feedAll([payment(0, 1), payment(40, 1.5), payment(80, 0.5), payment(largeAt, 500)])
  return (await it.windows()).map(({ start, end, values }) => ({
    start,
    end,
    fraud: values.triedOut,
  }))
}

//  seconds   0    40    80   120        200
//  small     ·    ·     ·         |
//  large                     ·                   within a minute: it is the same spree
//  large                                ·        later: it is another one, in which nothing was tried out
test('small payments and a large one are fraud in one spree, not in two', async () => {
  const one = await sprees(139)
  expect(bounds(one)).toEqual([[0, 199]])
  expect(one[0]!.fraud).toBe(true)
  const two = await sprees(140)
  expect(bounds(two)).toEqual([
    [0, 140],
    [140, 200],
  ])
  expect(two.map(({ fraud }) => fraud)).toEqual([false, false])
})

test('a spree ends when the card has been quiet, whatever others do', async () => {
  const it = testJob(job)
  const others = [100, 150, 199].map((second) => payment(second, 5, { card: 'c-02' }))
  await it.feedAll([payment(0, 1), ...others])
  expect(bounds(await it.windows('closed'))).toEqual([[0, 60]])
  expect(bounds(await it.windows('open'))).toEqual([[100, 259]])
})

test('an amount of nothing is no payment', async () => {
  const it = testJob(job)
  await it.feed(payment(1, 0))
  expect(await it.rejects()).toMatchObject([{ reason: 'schema' }])
})
