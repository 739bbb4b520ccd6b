/**
 * GET /api/rejects: records that were not counted, and why, newest first.
 */
import type { Keys } from '../actors/keys.ts'
import { newestOfShards, type Span } from '../actors/newest.ts'
import type { Store } from '../actors/redis.ts'
import { partitionOf } from '../actors/topics.ts'
import type { RejectReport } from './schemas.ts'

export interface RejectsQuery extends Span {
  limit: number
  reason?: string | undefined
}

/** The newest rejects of a span, of one reason where it is given. */
export async function newestRejects(
  store: Store,
  keys: Keys,
  { limit, reason, ...span }: RejectsQuery,
): Promise<RejectReport[]> {
  const rejects: RejectReport[] = []
  for await (const [id, fields] of newestOfShards(store, keys, (shard) => shard.rejects, span)) {
    const reject = rejectReport(id, fields)
    if (reason !== undefined && reject.reason !== reason) continue
    rejects.push(reject)
    if (rejects.length === limit) break
  }
  return rejects
}

function rejectReport(id: string, fields: string[]): RejectReport {
  const field = (name: string) => {
    const index = fields.findIndex((value, i) => i % 2 === 0 && value === name)
    return index === -1 ? '' : fields[index + 1]!
  }
  return {
    id,
    at: new Date(Number(id.split('-')[0])).toISOString(),
    topic: field('topic'),
    partition: partitionOf(Number(field('p'))),
    offset: field('o'),
    reason: field('reason'),
    message: field('message'),
    value: field('value'),
  }
}
