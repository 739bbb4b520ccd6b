/**
 * Conditional answers: who has asked before and says what it got (If-None-Match) is told with 304
 * that nothing has changed. Only where that saves work; a status is another one at each look.
 */
import type { Context } from 'hono'

/** A tag of what it is made of: a whole answer, or a version that changes whenever the answer may. */
export const etagOf = (source: string | Uint8Array): string => `"${Bun.hash(source).toString(36)}"`

/**
 * Tags the answer that follows; a 304 where the asker has it already. Caches may keep it, and must ask
 * before each use.
 */
export function unchanged(c: Context, etag: string): Response | null {
  c.header('ETag', etag)
  c.header('Cache-Control', 'private, no-cache')
  return isHeld(c.req.header('If-None-Match'), etag) ? c.body(null, 304) : null
}

/** By RFC 9110, 13.1.2: any of a list, weak or not, or `*`. */
function isHeld(held: string | undefined, etag: string): boolean {
  if (held?.trim() === '*') return true
  return held?.match(/"[^"]*"/g)?.includes(etag) ?? false
}
