/** Fair shares: what must hold of any demands, and some that a person can follow. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Demand, fairShares } from '../../supervisor/fair.ts'

const demands = fc
  .array(fc.record({ need: fc.nat(12), weight: fc.integer({ min: 1, max: 9 }) }), { maxLength: 9 })
  .map((some) => some.map((one, i): Demand => ({ job: `job-${i}`, ...one })))
const total = fc.integer({ min: 0, max: 40 })
const turn = fc.nat(1_000)

const sum = (shares: Map<string, number>) => [...shares.values()].reduce((a, b) => a + b, 0)

function always(holds: (demands: Demand[], shares: Map<string, number>, total: number) => void) {
  fc.assert(
    fc.property(demands, total, turn, (some, most, now) => {
      holds(some, fairShares(some, most, now), most)
    }),
    { numRuns: 2_000 },
  )
}

describe('always', () => {
  test('never more than there may be, and nobody more than it needs', () => {
    always((some, shares, most) => {
      expect(sum(shares)).toBeLessThanOrEqual(most)
      for (const { job, need } of some) expect(shares.get(job) ?? 0).toBeLessThanOrEqual(need)
    })
  })

  test('none is left over while somebody needs one', () => {
    always((some, shares, most) => {
      const needed = some.reduce((all, { need }) => all + need, 0)
      expect(sum(shares)).toBe(Math.min(most, needed))
    })
  })

  test('nobody has a second while another that needs one has none', () => {
    always((some, shares) => {
      const without = some.some(({ job, need }) => need > 0 && !shares.get(job))
      if (without) expect(Math.max(0, ...shares.values())).toBeLessThanOrEqual(1)
    })
  })

  test('nobody lacks some while another has more by weight, but for one that can not be cut', () => {
    always((some, shares) => {
      for (const poor of some) {
        const has = shares.get(poor.job) ?? 0
        if (has >= poor.need) continue
        for (const rich of some) {
          const other = shares.get(rich.job) ?? 0
          if (other >= 2) expect((other - 1) / rich.weight).toBeLessThanOrEqual(has / poor.weight)
        }
      }
    })
  })

  test('the order in which jobs are told changes nothing', () => {
    fc.assert(
      fc.property(demands, total, turn, (some, most, now) => {
        const shares = (given: Demand[]) => Object.fromEntries(fairShares(given, most, now))
        expect(shares(some.toReversed())).toEqual(shares(some))
      }),
    )
  })

  test('who needs more never gets less by saying so', () => {
    fc.assert(
      fc.property(demands, total, (some, most) => {
        const [first, ...rest] = some
        if (!first || first.need === 0) return
        const more = [{ ...first, need: first.need + 1 }, ...rest]
        const share = (given: Demand[]) => fairShares(given, most, 0).get(first.job) ?? 0
        expect(share(more)).toBeGreaterThanOrEqual(share(some))
      }),
    )
  })

  test('with too few for the first ones, each gets its turn within one round', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 20 }),
        turn,
        (most, jobs, from) => {
          const some = Array.from({ length: jobs }, (_, i) => ({
            job: `j${i}`,
            need: 3,
            weight: 1,
          }))
          const served = new Set<string>()
          const round = Math.ceil(jobs / most)
          for (let now = from; now < from + round; now++) {
            for (const job of fairShares(some, most, now).keys()) served.add(job)
          }
          expect(served.size).toBe(jobs)
        },
      ),
    )
  })
})

describe('for example', () => {
  const of = (given: Record<string, [need: number, weight?: number]>, most: number) =>
    Object.fromEntries(
      fairShares(
        Object.entries(given).map(([job, [need, weight = 1]]) => ({ job, need, weight })),
        most,
        0,
      ),
    )

  test.each([
    [{ a: [4], b: [4] }, 4, { a: 2, b: 2 }],
    [{ a: [4], b: [1] }, 4, { a: 3, b: 1 }],
    [{ a: [1], b: [1] }, 4, { a: 1, b: 1 }],
    [{ a: [9], b: [9], c: [2] }, 9, { a: 4, b: 3, c: 2 }],
    [{ a: [9, 3], b: [9, 1] }, 8, { a: 6, b: 2 }],
    [{ a: [9, 9], b: [9, 1] }, 2, { a: 1, b: 1 }],
    [{ a: [0], b: [3] }, 2, { b: 2 }],
    [{}, 2, {}],
  ] as const)('%j of %d: %j', (given, most, shares) => {
    expect(of(given as never, most)).toEqual(shares as never)
  })
})
