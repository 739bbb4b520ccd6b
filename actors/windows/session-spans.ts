/**
 * Sessions by when they end, for what shows time as a row of windows: spans as long as the gap, each with
 * the sessions that end in it. A span that event time has passed is closed and does not change.
 */
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import type { WindowQuery } from './groups.ts'
import { readClosedTo } from './open.ts'
import { closedSessions, openSessions, type Session } from './sessions.ts'
import type { SessionShape } from './span.ts'

/** Ends in (start, end]; epoch ms. */
export interface SessionSpan {
  start: number
  end: number
  state: 'open' | 'closed'
  sessions: Session[]
}

type SessionJob = Job & SessionShape

const startOf = (spanMs: number, { end }: Session) => Math.floor((end - 1) / spanMs) * spanMs

/** Spans in which a session may still end, newest first. */
export async function openSpans(store: Store, keys: Keys, job: SessionJob): Promise<SessionSpan[]> {
  const closedTo = await readClosedTo(store, keys)
  const sessions = await openSessions(store, keys, job, {})
  const since = Math.floor(closedTo / job.gapMs) * job.gapMs
  // What has ended already of the span that is passing.
  for await (const session of closedSessions(store, keys, job, {})) {
    if (session.end <= since) break
    sessions.push(session)
  }
  const spans = Map.groupBy(sessions, (session) => startOf(job.gapMs, session))
  return [...spans]
    .map(([start, held]) => spanOf(job.gapMs, start, 'open', held))
    .sort((a, b) => b.start - a.start)
}

/** Spans that have passed, each `spanMs` long, newest first, read on only as far as they are taken. */
export async function* closedSpans(
  store: Store,
  keys: Keys,
  job: SessionJob,
  { from = -Infinity, to = Infinity }: Pick<WindowQuery, 'from' | 'to'>,
  spanMs = job.gapMs,
): AsyncGenerator<SessionSpan> {
  const closedTo = await readClosedTo(store, keys)
  let span: SessionSpan | null = null
  for await (const session of closedSessions(store, keys, job, {})) {
    const start = startOf(spanMs, session)
    if (start + spanMs > closedTo || start >= to) continue
    if (start < from) break
    if (span?.start !== start) {
      if (span) yield span
      span = spanOf(spanMs, start, 'closed', [])
    }
    span.sessions.push(session)
  }
  if (span) yield span
}

const spanOf = (
  spanMs: number,
  start: number,
  state: SessionSpan['state'],
  sessions: Session[],
): SessionSpan => ({ start, end: start + spanMs, state, sessions })
