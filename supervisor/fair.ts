/**
 * How executors are shared between jobs: weighted max-min fairness in whole executors. Pure.
 *
 *   what each job needs, how many there may be of all → here → how many each may have
 *
 * Guarantees: never more than there may be, never more than needed; none is left over while somebody
 * needs one; everybody who needs any has one before anybody has two; beyond that nobody has more by
 * weight than one who lacks some, but for the last executor, which can't be cut. Where even the first do
 * not suffice, jobs take turns at them.
 */

export interface Demand {
  job: string
  /** Executors that its work needs. */
  need: number
  /** Its part beside the others'; 1 or more. */
  weight: number
}

/** Job → executors; `turn` is a number that grows by one with each turn. */
export function fairShares(
  demands: readonly Demand[],
  total: number,
  turn: number,
): Map<string, number> {
  // By name, so that all supervisors come to the same.
  const wanting = demands
    .filter(({ need }) => need > 0)
    .toSorted((a, b) => (a.job < b.job ? -1 : 1))
  if (wanting.length > total) return inTurn(wanting, total, turn)
  const shares = new Map(wanting.map(({ job }) => [job, 1]))
  for (let left = total - wanting.length; left > 0; left--) {
    const next = leastServed(wanting, shares)
    if (!next) break
    shares.set(next.job, shares.get(next.job)! + 1)
  }
  return shares
}

/** The jobs behind those of the turn before; each comes at the latest after all others had theirs. */
function inTurn(wanting: readonly Demand[], total: number, turn: number): Map<string, number> {
  const first = (turn * total) % wanting.length
  return new Map(
    Array.from({ length: total }, (_, i) => [wanting[(first + i) % wanting.length]!.job, 1]),
  )
}

/** Of those that need more the one that has least by its weight; the heavier of two that have the same. */
function leastServed(wanting: readonly Demand[], shares: Map<string, number>): Demand | null {
  let least: Demand | null = null
  for (const one of wanting) {
    if (shares.get(one.job)! >= one.need) continue
    if (least === null || isServedLess(one, least, shares)) least = one
  }
  return least
}

function isServedLess(a: Demand, b: Demand, shares: Map<string, number>): boolean {
  // Quotients of whole numbers, compared without dividing.
  const [ofA, ofB] = [shares.get(a.job)! * b.weight, shares.get(b.job)! * a.weight]
  return ofA < ofB || (ofA === ofB && a.weight > b.weight)
}
