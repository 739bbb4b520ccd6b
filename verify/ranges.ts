/**
 * Sets of offsets as ranges: half-open, in order, not touching, by partition. Pure.
 */
export interface Range {
  from: number
  to: number
}

/** Partition → its ranges; none of them empty. */
export type Ranges = Map<number, Range[]>

/** What is in `all` and not in `some`. */
export function subtract(all: Ranges, some: Ranges): Ranges {
  const left: Ranges = new Map()
  for (const [partition, ranges] of all) {
    const rest = (some.get(partition) ?? []).reduce(without, ranges)
    if (rest.length > 0) left.set(partition, rest)
  }
  return left
}

function without(ranges: Range[], cut: Range): Range[] {
  return ranges.flatMap(({ from, to }) =>
    [
      { from, to: Math.min(to, cut.from) },
      { from: Math.max(from, cut.to), to },
    ].filter((part) => part.from < part.to),
  )
}

/** Puts a range into the set, and joins it with what it touches. */
export function include(ranges: Ranges, partition: number, { from, to }: Range): void {
  if (from >= to) return
  const held = ranges.get(partition) ?? []
  const touching = held.filter((one) => one.from <= to && one.to >= from)
  const joined = {
    from: Math.min(from, ...touching.map((one) => one.from)),
    to: Math.max(to, ...touching.map((one) => one.to)),
  }
  const others = held.filter((one) => !touching.includes(one))
  ranges.set(
    partition,
    [...others, joined].sort((a, b) => a.from - b.from),
  )
}

/** The parts of `ranges` in [from, to). */
export function clip(ranges: readonly Range[], { from, to }: Range): Range[] {
  return ranges
    .map((range) => ({ from: Math.max(range.from, from), to: Math.min(range.to, to) }))
    .filter((range) => range.from < range.to)
}
