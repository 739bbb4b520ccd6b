/**
 * The two versions that a command is about: the one that runs and its shadow, by their names, or the only
 * pair that Redis holds.
 */
import { RefusalError, UsageError } from '../actors/errors.ts'
import type { Held } from './list.ts'

export interface Pair {
  old: string
  next: string
}

/** @throws RefusalError where there is none, UsageError where there are several */
export function pairOf(held: readonly Held[], named: Pair | null, of?: string): Pair {
  const all = held.flatMap(({ name, snapshot: { version } }) => {
    // A cut-over that was broken off has made it live already, and the old one not yet `replaced`.
    const unfinished = held.some(
      (one) => one.snapshot.version?.stage === 'ending' && one.snapshot.version.by === name,
    )
    const paired = version?.stage === 'shadow' || unfinished
    return paired && version?.of !== undefined ? [{ old: version.of, next: name }] : []
  })
  if (named) return checked(held, named)
  const pairs = all.filter(({ old }) => of === undefined || old === of)
  const [pair] = pairs
  if (!pair) {
    const whose = of === undefined ? '' : ` of ${of}`
    throw new RefusalError(
      `Redis holds no shadow${whose}: bun run supervisor jobs/file.ts --shadow begins one`,
    )
  }
  if (pairs.length > 1) {
    const list = pairs.map(({ old, next }) => `${old} ${next}`).join(', ')
    throw new UsageError(`there are several shadows, so name one: ${list}`)
  }
  return pair
}

function checked(held: readonly Held[], { old, next }: Pair): Pair {
  const find = (name: string) => {
    const found = held.find((one) => one.name === name)
    if (found) return found.snapshot.version
    throw new RefusalError(`Redis holds no job ${name}; bun run versions list`)
  }
  const [before, version] = [find(old), find(next)]
  if (version?.of !== old) {
    throw new RefusalError(
      `${next} is no shadow of ${old}; bun run versions list shows what there is`,
    )
  }
  if (before?.by !== undefined && before.by !== next) {
    throw new RefusalError(`${old} was replaced by ${before.by}`)
  }
  return { old, next }
}
