/**
 * Sessions, open and closed, with their states; in the order of their ends, the latest first, then of
 * their group's JSON text, backwards. A place to go on from (`before`) names an end in place of a start.
 */
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import type { Store } from '../redis.ts'
import { closedEntries } from './closed.ts'
import type { WindowQuery } from './groups.ts'
import { readClosedTo } from './open.ts'
import { type SessionShape, sessionEnd, spanOf } from './span.ts'
import { type Stored, storedAt } from './state.ts'

export interface Session {
  /** Epoch ms; half-open. */
  start: number
  end: number
  /** The group's JSON text. */
  group: string
  state: Stored
}

type SessionJob = Job & SessionShape

/** HSCAN's COUNT: groups, each with some sessions. */
const SCAN_COUNT = 250

/** Open sessions that the query asks for. */
export async function openSessions(
  store: Store,
  keys: Keys,
  job: SessionJob,
  query: WindowQuery,
): Promise<Session[]> {
  const closedTo = await readClosedTo(store, keys)
  const byGroup = new Map<string, Session[]>()
  for (let cursor = '0'; ; ) {
    const [next, page] = await store.redis.hscanBuffer(keys.sessions, cursor, 'COUNT', SCAN_COUNT)
    // HSCAN may give a group twice; the Map keeps its later state.
    for (let i = 0; i < page.length; i += 2) {
      const group = page[i]!.toString()
      byGroup.set(group, sessionsOf(job, group, page[i + 1]!))
    }
    cursor = next.toString()
    if (cursor === '0') break
  }
  const found = [...byGroup.values()].flat().filter(({ end }) => end > closedTo)
  return found.filter((session) => isWanted(session, query)).sort(latestFirst)
}

/** Closed sessions that the query asks for, read on only as far as they are taken. */
export async function* closedSessions(
  store: Store,
  keys: Keys,
  job: SessionJob,
  query: WindowQuery,
): AsyncGenerator<Session> {
  let together: Session[] = []
  const bound = query.before ? query.before.start + 1 : Infinity
  const beyond = query.before ? ({ start }: { start: number }) => start >= bound : null
  for await (const { end, rows, last } of closedEntries(store, keys, beyond)) {
    // What was closed in several entries ends in any order: it is put in order as a whole.
    if (last) {
      yield* together.sort(latestFirst)
      together = []
      if (end <= (query.from ?? -Infinity)) return
    }
    together.push(...sessionsIn(job, rows).filter((session) => isWanted(session, query)))
  }
  yield* together.sort(latestFirst)
}

/** Each behind its u32 length. */
function sessionsOf(job: SessionJob, group: string, bytes: Buffer): Session[] {
  const sessions: Session[] = []
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32LE(at)) {
    sessions.push(sessionOf(job, group, storedAt(job, bytes, at + 4)))
  }
  return sessions
}

/** Of an entry of the closed stream: u32 key length, key, state, repeated. */
export function sessionsIn(job: SessionJob, bytes: Buffer): Session[] {
  const sessions: Session[] = []
  for (let at = 0; at < bytes.length; ) {
    const keyEnd = at + 4 + bytes.readUInt32LE(at)
    const state = storedAt(job, bytes, keyEnd)
    sessions.push(sessionOf(job, bytes.toString('utf8', at + 4, keyEnd), state))
    at = state.end
  }
  return sessions
}

function sessionOf(job: SessionJob, group: string, state: Stored): Session {
  const { first, last } = spanOf(state.cells)
  return { start: first, end: sessionEnd(job, last), group, state }
}

const latestFirst = (a: Session, b: Session): number =>
  b.end - a.end || (a.group < b.group ? 1 : a.group > b.group ? -1 : 0)

function isWanted({ start, end, group }: Session, { from, to, before }: WindowQuery): boolean {
  if (start < (from ?? -Infinity) || start >= (to ?? Infinity)) return false
  if (!before || end < before.start) return true
  return end === before.start && group < before.group
}
