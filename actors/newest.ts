/**
 * Entries of a stream that people read (decisions, rejects), newest first, in pages that each hold
 * Redis for well under a millisecond.
 */
import type { Store } from './redis.ts'

/** Bounds of what is read, as ids of entries; neither is part of it. */
export interface Span {
  /** Only what is older than this: where a page ended. */
  before?: string | undefined
  /** Only what is newer than this: the newest that is known already. */
  since?: string | undefined
}

const PAGE = 500

export async function* newestEntries(
  store: Store,
  key: string,
  { before, since }: Span = {},
  atOnce = PAGE,
): AsyncGenerator<[id: string, fields: string[]]> {
  const bottom = since === undefined ? '-' : `(${since}`
  const count = Math.min(atOnce, PAGE)
  for (let top = before === undefined ? '+' : `(${before}`; ; ) {
    const page = await store.redis.xrevrange(key, top, bottom, 'COUNT', count)
    yield* page
    const oldest = page.at(-1)
    if (!oldest || page.length < count) return
    top = `(${oldest[0]}`
  }
}
