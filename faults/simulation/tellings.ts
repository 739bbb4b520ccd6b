/**
 * Windows that are told more than once: each telling against the records that were counted by then, its
 * number against the one before, and in the end the newest telling of each window against all records.
 */
import type { Job } from '../../actors/job.ts'
import { add, differences, expectedRows, hash, readRows, type Row } from './checks.ts'
import type { Judgement } from './shard-state.ts'
import type { World } from './world.ts'

export interface ToldWindow {
  end: number
  kind: 'open' | 'closed' | 'final'
  revision: number
  /** Its place among all tellings. */
  place: number
  rows: Map<string, Buffer>
  /** What is wrong with its entries. */
  wrong: string[]
}

type Ask = (...command: string[]) => unknown

/** Whole tellings behind an id, and the id of the last entry of the last of them. */
export function tellingsAfter(
  ask: Ask,
  stream: string,
  after: string,
): { told: ToldWindow[]; newest: string } {
  const entries = ask('XRANGE', stream, `(${after}`, '+') as [Buffer, Buffer[]][]
  const told: ToldWindow[] = []
  let newest = after
  let rows = new Map<string, Buffer>()
  let wrong: string[] = []
  for (const [id, fields] of entries) {
    const entry = new Map<string, Buffer>()
    for (let i = 0; i < fields.length; i += 2) entry.set(fields[i]!.toString(), fields[i + 1]!)
    const text = (name: string) => entry.get(name)?.toString() ?? ''
    const end = Number(text('end'))
    readRows(entry.get('rows')!, rows, (group) => {
      wrong.push(`window to ${end} is told with group ${group} twice`)
    })
    if (text('last') !== '1') continue
    const isClosed = text('final') === '1' ? 'final' : 'closed'
    const kind = text('open') === '1' ? 'open' : isClosed
    const [revision, place] = [Number(text('revision')), Number(text('told'))]
    told.push({ end, kind, revision, place, rows, wrong })
    newest = id.toString()
    rows = new Map()
    wrong = []
  }
  return { told, newest }
}

/** C3: a telling holds what was counted by then. */
export function tellingFindings(told: ToldWindow, job: Job, counted: Judgement[]): string[] {
  const { end, kind, revision, rows, wrong } = told
  const expected = rowsOf(end, job, counted)
  const what = `window to ${end}, told ${kind} as ${revision}`
  return [...wrong, ...differences(what, expected, rows)]
}

function rowsOf(end: number, job: Job, counted: Judgement[]): Map<string, Row> {
  const windows = new Map<number, Map<string, Row>>()
  for (const { record, closedTo } of counted) {
    const pane = Math.floor(record.time! / job.windowSlideMs) * job.windowSlideMs
    const isIn = pane >= end - job.windowSizeMs && pane < end
    if (isIn && end > closedTo) add(windows, end, record)
  }
  return windows.get(end) ?? new Map<string, Row>()
}

/** C3 and C5, when nothing is left to be told. */
export function toldFindings(world: World): string[] {
  const { home, keys, witness } = world
  const { closedTo, finalTo } = witness.state
  const ask: Ask = (...command) => home.model.executeBuffer(command)
  const told = [keys.closed, keys.updates]
    .flatMap((stream) => tellingsAfter(ask, stream, '0-0').told)
    .sort((a, b) => a.place - b.place)
  const closed = new Map(
    told.flatMap((one) => (one.kind === 'open' ? [] : [[one.end, one] as const])),
  )
  const clock = hash(home.model.execute(['HGETALL', keys.clock]))
  const closing = Number(clock.get('closing') ?? Number.NaN)
  const { windows } = expectedRows(world)
  const found = numbering(told)
  for (const [end, groups] of windows) {
    if (end === closing) continue
    if (!closed.has(end)) found.push(`window to ${end} was never closed`)
    else found.push(...differences(`window to ${end}`, groups, closed.get(end)!.rows))
  }
  for (const end of closed.keys()) {
    if (!windows.has(end)) found.push(`window to ${end} was closed, but has no records`)
    if (end > closedTo) found.push(`window to ${end} was closed before its time`)
  }
  const counted = Number(clock.get('closedWindows') ?? 0)
  const begun = closed.size + (clock.get('closingKind') === 'close' ? 1 : 0)
  if (counted !== begun) found.push(`closedWindows is ${counted}, and ${begun} were begun`)
  return [...found, ...remembered(world, finalTo)]
}

/** C5: numbers rise by one, none follows the final one, and none is of an open window once it is closed. */
function numbering(told: readonly ToldWindow[]): string[] {
  const found: string[] = []
  const newest = new Map<number, ToldWindow>()
  let last = 0
  for (const one of told) {
    const before = newest.get(one.end)
    const due = before ? before.revision + 1 : 0
    const name = `window to ${one.end}`
    if (one.place === last) found.push(`${name} is told as another is, at ${last}`)
    last = one.place
    if (one.revision !== due) found.push(`${name} is told as ${one.revision}, due was ${due}`)
    if (before?.kind === 'final') found.push(`${name} is told again after it was final`)
    if (before && before.kind !== 'open' && one.kind === 'open') {
      found.push(`${name} is told as open after it was closed`)
    }
    newest.set(one.end, one)
  }
  return found
}

/** What is final needs no number any more. */
function remembered({ home, keys, job }: World, finalTo: number): string[] {
  const ends = home.model.execute(['HKEYS', keys.revisions]) as string[]
  const over = ends.filter((end) => Number(end) <= finalTo)
  const found = over.map((end) => `the number of window to ${end}, which is final, is still kept`)
  if (job.allowedLatenessMs === 0) return found
  const panes = home.model.execute(['HKEYS', keys.panes]) as string[]
  const ordered = home.model.execute(['ZRANGE', keys.order, '0', '-1']) as string[]
  if (panes.sort().join() === ordered.sort().join()) return found
  return [...found, `panes are ${panes.join()}, and in order ${ordered.join()}`]
}
