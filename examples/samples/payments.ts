/** Forty cards in everyday use, and two that are tried out with small amounts before a large one. */
import type { Chance } from '../../faults/simulation/chance.ts'
import { happenings, minuteMs, popular, type Sample, sampleStart } from './sample.ts'

interface Payment {
  at: string
  card: string
  merchant: string
  country: string
  amount: number
  approved: boolean
}

const countries = ['DE', 'FR', 'NL', 'PL', 'US']
const spanMs = 24 * minuteMs
/** The second spree ends as the sample does: who plays it sees it among the newest. */
const stolen = [
  { card: 'c-07', fromMs: 6 * minuteMs },
  { card: 'c-31', fromMs: spanMs - 3 * minuteMs },
]

export const payments: Sample<Payment> = {
  make(chance) {
    const usual = happenings(chance, { count: 600, spanMs, delayMs: 15_000 })
    const all = usual.map((at) => everyday(chance, at))
    for (const { card, fromMs } of stolen) {
      const spree = spreeOf(card, sampleStart + fromMs)
      // Each as soon as it happened: before the first that happened after it.
      for (const payment of spree) {
        const place = all.findIndex(({ at }) => at > payment.at)
        all.splice(place < 0 ? all.length : place, 0, payment)
      }
    }
    return all
  },
  time: ({ at }) => Date.parse(at),
  at: (payment, ms) => ({ ...payment, at: new Date(ms).toISOString() }),
}

function everyday(chance: Chance, at: number): Payment {
  return {
    at: new Date(at).toISOString(),
    card: `c-${String(chance.whole(1, 40)).padStart(2, '0')}`,
    merchant: `m-${chance.whole(1, 60)}`,
    country: popular(chance, countries),
    amount: Math.round(chance.between(200, 9_000)) / 100,
    approved: chance.is(0.96),
  }
}

/** Five small payments 20 s apart, each elsewhere, then one of which the bank refuses the first attempt. */
function spreeOf(card: string, from: number): Payment[] {
  return [0.99, 1.2, 0.5, 1.75, 1, 890, 640].map((amount, i) => ({
    at: new Date(from + i * 20_000).toISOString(),
    card,
    merchant: `x-${i}`,
    country: countries[i % countries.length]!,
    amount,
    approved: amount !== 890,
  }))
}
