/**
 * Card payments, and what looks like fraud: for each spree of a card, which begins with a payment and ends
 * when the card has been quiet for a minute, how often it was used, for how much, at how many merchants and
 * in how many countries, and whether small payments tried it out before a large one.
 *
 * A spree is a session: its bounds are its own, however long it is. One that would not end is cut at each
 * half hour.
 */
import { aggregate, defineJob } from 'millrace'
import * as v from 'valibot'

/** Euros. */
const small = 2
const large = 200
const trials = 3

/** Three small payments and a large one in one spree. The order in which they came is not looked at. */
const triedOut = aggregate({
  parts: { small: 'sum', largest: 'max' },
  of: ({ amount }: { amount: number }) => ({ small: amount < small ? 1 : 0, largest: amount }),
  value: ({ small, largest }) => small >= trials && largest !== null && largest >= large,
})

export default defineJob({
  name: 'payments',
  topic: 'payments',
  schema: v.object({
    at: v.pipe(v.string(), v.isoTimestamp()),
    card: v.string(),
    merchant: v.string(),
    country: v.pipe(v.string(), v.length(2)),
    amount: v.pipe(v.number(), v.minValue(0.01)),
    approved: v.boolean(),
  }),
  eventTime: (payment) => Date.parse(payment.at),
  watermarkDelay: '1 minute',
  window: { gap: '1 minute', max: '30 minutes' },
  groupBy: ['card'],
  aggregates: ({ count, sum, max, distinct }) => ({
    payments: count(),
    declined: sum((payment) => (payment.approved ? 0 : 1), { decimals: 0 }),
    // What was declined was not spent.
    spent: sum((payment) => (payment.approved ? payment.amount : null), { decimals: 2 }),
    largest: max('amount'),
    merchants: distinct('merchant'),
    countries: distinct('country'),
    triedOut,
  }),
})
