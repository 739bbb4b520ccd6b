/**
 * GET /api/rejects: records that were not counted, and why, newest first.
 */
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import type { RejectReport } from './schemas.ts'

/** Rejects of one page: 1 KB of value each, so a page holds Redis for well under a millisecond. */
const PAGE = 500

/** The newest rejects, of one reason where it is given. */
export async function newestRejects(
  store: Store,
  keys: Keys,
  limit: number,
  reason?: string,
): Promise<RejectReport[]> {
  const rejects: RejectReport[] = []
  let top = '+'
  for (;;) {
    const page = await store.redis.xrevrange(keys.rejects, top, '-', 'COUNT', PAGE)
    for (const [id, fields] of page) {
      const reject = rejectReport(id, fields)
      if (reason !== undefined && reject.reason !== reason) continue
      rejects.push(reject)
      if (rejects.length === limit) return rejects
    }
    const oldest = page.at(-1)
    if (!oldest || page.length < PAGE) return rejects
    top = `(${oldest[0]}`
  }
}

function rejectReport(id: string, fields: string[]): RejectReport {
  const field = (name: string) => {
    const index = fields.findIndex((value, i) => i % 2 === 0 && value === name)
    return index === -1 ? '' : fields[index + 1]!
  }
  return {
    at: new Date(Number(id.split('-')[0])).toISOString(),
    topic: field('topic'),
    partition: Number(field('p')),
    offset: field('o'),
    reason: field('reason'),
    message: field('message'),
    value: field('value'),
  }
}
