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
const startsOf = (rows: { start: number }[]) => rows.map((row) => (row.start - start) / 60_000)

test('what a card did within ten minutes', async () => {
  const it = testJob(job)
  await it.feedAll([
    payment(1, 12.35),
    payment(70, 0.1, { country: 'FR' }),
    payment(140, 0.2, { merchant: 'm-1' }),
    payment(150, 900, { approved: false }),
    payment(160, 5, { card: 'c-02' }),
  ])
  const rows = (await it.windows()).filter((row) => row.start === start)
  expect(rows.find(({ key }) => key.card === 'c-01')!.values).toEqual({
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

/** Starts of the windows in which three small payments and a later large one look like fraud, in minutes. */
const suspicious = async (largeAt: number) => {
  const it = testJob(job)
  await it.feedAll([payment(0, 1), payment(60, 1.5), payment(120, 0.5), payment(largeAt, 500)])
  return startsOf((await it.windows()).filter(({ values }) => values.triedOut))
}

//  minutes   0   1   2   3   …  12
//  small     ·   ·   ·
//  large                            ·    only the windows from 3 on hold it, and none holds all four
test('small payments and a large one within ten minutes, not within thirteen', async () => {
  // The windows from 6 minutes before to the first payment hold all of them.
  expect(await suspicious(180)).toEqual([-6, -5, -4, -3, -2, -1, 0])
  expect(await suspicious(780)).toEqual([])
})

test('an amount of nothing is no payment', async () => {
  const it = testJob(job)
  await it.feed(payment(1, 0))
  expect(await it.rejects()).toMatchObject([{ reason: 'schema' }])
})
