/**
 * What was measured, from one file (costs.json), and how it is read between the points that were. Pure.
 *
 *   costs.json (figures and their sources, assumptions and their ranges) → here → demand.ts, calls.ts
 */
import costs from './costs.json'

export { costs }

/** Processes whose processor time a record takes; the rest is supervisor and web. */
export const processes = ['executor', 'redis', 'bridge', 'kafka'] as const
export type Process = (typeof processes)[number]

export type AssumptionName = keyof typeof costs.assumptions
/** What is taken for granted, by name. */
export type Assumptions = Record<AssumptionName, number>

export const assumptionNames = Object.keys(costs.assumptions) as AssumptionName[]

/** The middle of each range. */
export const assumed: Readonly<Assumptions> = Object.fromEntries(
  assumptionNames.map((name) => [name, costs.assumptions[name].value]),
) as Assumptions

/**
 * The value at `x`: straight between the two points beside it, and on with the last two's slope beyond
 * them; below the first it is the first. Points that fall are chance (one run each, which differ by a
 * tenth): they are taken together with the one before.
 */
export function between(at: readonly number[], values: readonly number[], x: number): number {
  const risen = pooled(values)
  if (x <= at[0]!) return risen[0]!
  const found = at.findIndex((point) => point >= x)
  const to = found === -1 ? at.length - 1 : found
  const [x0, x1, y0, y1] = [at[to - 1]!, at[to]!, risen[to - 1]!, risen[to]!]
  return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0)
}

/** The values that never fall and lie nearest: neighbours that do are replaced by their mean. */
export function pooled(values: readonly number[]): number[] {
  const blocks: { sum: number; count: number }[] = []
  for (const value of values) {
    let block = { sum: value, count: 1 }
    for (let last = blocks.at(-1); last && mean(last) > mean(block); last = blocks.at(-1)) {
      blocks.pop()
      block = { sum: last.sum + block.sum, count: last.count + block.count }
    }
    blocks.push(block)
  }
  return blocks.flatMap((block) => Array<number>(block.count).fill(mean(block)))
}

const mean = ({ sum, count }: { sum: number; count: number }) => sum / count
