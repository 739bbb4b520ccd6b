/**
 * What the sessions of a world must be: its records once more, commit by commit, put together group by
 * group by other arithmetic, and compared with what is in Redis.
 */
import type { Job } from '../../actors/job.ts'
import { CELLS, cellsText, type Row, rowText, stateEnd, withRecord } from './checks.ts'
import type { SimRecord } from './records.ts'
import type { World } from './world.ts'

interface Session {
  records: SimRecord[]
  first: number
  last: number
}

/** Slots of the first and the last event time, behind the others. */
const SPAN = 2

/** C3 and C5. */
export function sessionFindings(world: World, closed: boolean): string[] {
  const { home, keys, job, witness } = world
  const { closedTo } = witness.state
  const ask = (...command: string[]) => home.model.executeBuffer(command)
  const open = expectedSessions(world)
  const closedRows = new Map<string, string>()
  const found: string[] = []
  let newest = -Infinity
  for (const [, fields] of ask('XRANGE', keys.closed, '-', '+') as [Buffer, Buffer[]][]) {
    const of = (name: string) => fields[fields.findIndex((field) => field.toString() === name) + 1]!
    const end = Number(of('end'))
    if (end < newest) found.push(`sessions to ${end} were closed after those to ${newest}`)
    newest = end
    for (const { name, text, ends } of rowsOf(of('rows'), job)) {
      if (closedRows.has(name)) found.push(`session ${name} was closed twice`)
      if (ends > end) found.push(`session ${name} was closed at ${end}, before its time`)
      closedRows.set(name, text)
    }
  }
  const openRows = new Map<string, string>()
  const held = ask('HGETALL', keys.sessions) as Buffer[]
  const ends = new Map<string, number>()
  for (let i = 0; i < held.length; i += 2) {
    const group = held[i]!.toString()
    for (const row of listOf(group, held[i + 1]!, job)) {
      ends.set(group, Math.min(ends.get(group) ?? Infinity, row.ends))
      // What is closed but not written yet is told with what is.
      const into = row.ends <= closedTo ? closedRows : openRows
      if (into.has(row.name)) found.push(`session ${row.name} is there twice`)
      into.set(row.name, row.text)
    }
  }
  const listed = ask('ZRANGE', keys.ends, '0', '-1', 'WITHSCORES') as Buffer[]
  if (listed.length !== 2 * ends.size) found.push(`${listed.length / 2} groups have an end`)
  for (let i = 0; i < listed.length; i += 2) {
    const group = listed[i]!.toString()
    const end = Number(listed[i + 1])
    if (end !== ends.get(group))
      found.push(`group ${group}: ends at ${ends.get(group)}, not ${end}`)
  }
  if (closed && held.length > 0) found.push(`${held.length / 2} groups have open sessions`)
  found.push(...differences('closed', open.closed, closedRows))
  found.push(...differences('open', open.open, openRows))
  return found
}

/** Commits in their order; within one, where nothing can close, all records at once. */
function expectedSessions({ witness, job }: World) {
  const closed: Session[] = []
  let open: Session[] = []
  const close = (to: number) => {
    closed.push(...open.filter(({ last }) => endOf(job, last) <= to))
    open = open.filter(({ last }) => endOf(job, last) > to)
  }
  let moment = -Infinity
  for (const { record, closedTo } of witness.state.counted) {
    // Those of this moment that are not joined yet may look closed, and are joined by the next ones.
    if (closedTo !== moment) close(closedTo)
    moment = closedTo
    const time = record.time!
    const isNear = ({ records, first, last }: Session) =>
      records[0]!.group === record.group &&
      first - time < job.gapMs! &&
      time - last < job.gapMs! &&
      pieceOf(job, first) === pieceOf(job, time)
    const near = open.filter(isNear)
    const records = [...near.flatMap((session) => session.records), record]
    const times = records.map((one) => one.time!)
    const joined = { records, first: Math.min(...times), last: Math.max(...times) }
    open = [...open.filter((session) => !near.includes(session)), joined]
  }
  close(witness.state.closedTo)
  return { closed: textsOf(closed), open: textsOf(open) }
}

function textsOf(sessions: Session[]): Map<string, string> {
  return new Map(
    sessions.map(({ records, first, last }) => {
      const row = records.reduce<Row | undefined>((held, one) => withRecord(held, one), undefined)!
      return [`${JSON.stringify([records[0]!.group])} ${first} to ${last}`, rowText(row)]
    }),
  )
}

const pieceOf = (job: Job, time: number) => Math.floor(time / job.windowSizeMs)

const endOf = (job: Job, last: number) =>
  Math.min(last + job.gapMs!, (pieceOf(job, last) + 1) * job.windowSizeMs)

function* rowsOf(bytes: Buffer, job: Job) {
  for (let at = 0; at < bytes.length; ) {
    const from = at + 4 + bytes.readUInt32LE(at)
    const to = stateEnd(bytes, from, SPAN)
    yield sessionOf(bytes.toString('utf8', at + 4, from), bytes.subarray(from, to), job)
    at = to
  }
}

function* listOf(group: string, bytes: Buffer, job: Job) {
  for (let at = 0; at < bytes.length; ) {
    const to = at + 4 + bytes.readUInt32LE(at)
    yield sessionOf(group, bytes.subarray(at + 4, to), job)
    at = to
  }
}

function sessionOf(group: string, state: Buffer, job: Job) {
  const [first, last] = [state.readDoubleLE(CELLS * 8), state.readDoubleLE(CELLS * 8 + 8)]
  const name = `${group} ${first} to ${last}`
  return { name, text: cellsText(state, SPAN), ends: endOf(job, last) }
}

function differences(what: string, expected: Map<string, string>, rows: Map<string, string>) {
  const found: string[] = []
  for (const [name, right] of expected) {
    const told = rows.get(name) ?? 'missing'
    if (told !== right) found.push(`${what} session ${name}: ${told}; the records give ${right}`)
  }
  for (const name of rows.keys()) {
    if (!expected.has(name)) found.push(`${what} session ${name} is of no records`)
  }
  return found
}
