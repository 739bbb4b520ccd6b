/**
 * What must hold in the end: nothing is left over, the counters add up, and each row of each window,
 * closed or open, is what the records give by other arithmetic (whole numbers of any size).
 */
import { GROUP, type Keys } from '../../actors/keys.ts'
import { isRevised } from '../../actors/windows/revisions.ts'
import { drained, findingText, tidied } from '../../verify/checks.ts'
import { joinedFindings } from './parts.ts'
import type { SimRecord } from './records.ts'
import { sessionFindings } from './sessions.ts'
import { toldFindings } from './tellings.ts'
import type { World } from './world.ts'

/** A group's numbers, by the records. */
export interface Row {
  n: bigint
  micros: bigint
  least: bigint
  greatest: bigint
  last: SimRecord
}

export function finalFindings(world: World, closed: boolean): string[] {
  const own = world.keys.shards.flatMap((shard) => [
    ...leftovers(world, shard),
    ...counters(world, shard),
  ])
  return [...own, ...rowFindings(world, closed)]
}

function rowFindings(world: World, closed: boolean): string[] {
  if (world.job.gapMs !== null) return sessionFindings(world, closed)
  const told = isRevised(world.job) ? toldFindings(world) : closedFindings(world)
  const open = world.keys.shards.flatMap((shard) => openPanes(world, shard, closed))
  return [...told, ...open]
}

const closedFindings = (world: World): string[] =>
  world.keys.shards.length > 1 ? joinedFindings(world) : windows(world)

/** C4: drained to the last key. */
function leftovers(world: World, keys: Keys): string[] {
  const server = world.serverOf(keys)
  const partitions = world.topic.partitions.filter((one) => world.isOf(keys, one.partition))
  const ask = (...command: string[]) => server.model.execute(command)
  const fields = (key: string) => ask('HKEYS', key) as string[]
  const ledger = hash(ask('HGETALL', keys.ledger))
  const totals = hash(ask('HGETALL', keys.totals))
  const place = (p: number, name: string) => Number(ledger.get(`${p}:${name}`) ?? -1)
  const held = {
    entries: Number(ask('XLEN', keys.entries)),
    pending: (ask('XPENDING', keys.entries, GROUP) as [number])[0],
    waiting: Number(totals.get('waiting') ?? 0),
    partitions: partitions.map(({ partition }) => ({
      partition,
      next: place(partition, 'next'),
      frontier: place(partition, 'frontier'),
    })),
  }
  const ends = partitions.map(({ partition, batches }) => ({
    partition,
    high: batches.at(-1)?.to ?? 0,
  }))
  const payloads = ask('KEYS', `${keys.base}:payload:*`) as string[]
  const left = {
    payloads: payloads.filter((key) => ask('PTTL', key) === -1),
    finished: fields(keys.finished),
    progress: fields(keys.progress),
    crashes: fields(keys.crashes),
    suspects: fields(keys.suspects),
    hands: fields(keys.hand).filter((id) => !isAlive(id)),
    waitingBytes: Number(totals.get('waitingBytes') ?? 0),
  }
  return [...drained(held, ends), ...tidied(left)].map(findingText)

  function isAlive(id: string): boolean {
    return Number(ask('ZSCORE', keys.leases, id) ?? 0) > server.nowMs
  }
}

/** C1. */
function counters(world: World, keys: Keys): string[] {
  const totals = hash(world.serverOf(keys).model.execute(['HGETALL', keys.totals]))
  const of = (name: string) => Number(totals.get(name) ?? 0)
  const { counted, filtered, late, rejected } = world.witness.of(keys.shard).totals
  const all = counted + filtered + late + rejected
  const expected = {
    counted,
    filtered,
    late,
    rejected,
    committed: all,
    appended: all,
    waiting: 0,
    waitingBytes: 0,
    entriesCommitted: of('entriesAppended'),
  }
  return Object.entries(expected).flatMap(([name, value]) =>
    of(name) === value ? [] : [`totals: ${name} is ${of(name)} and should be ${value}`],
  )
}

/** C3 and C5. */
function windows(world: World): string[] {
  const { home, keys } = world
  const { model } = home
  const found: string[] = []
  const closing = model.execute(['HGET', keys.clock, 'closing'])
  const { windows: expected } = expectedRows(world)
  const seen = new Set<number>()
  const rows = new Map<number, Map<string, Buffer>>()
  for (const [, fields] of model.executeBuffer(['XRANGE', keys.closed, '-', '+']) as [
    Buffer,
    Buffer[],
  ][]) {
    const entry = new Map<string, Buffer>()
    for (let i = 0; i < fields.length; i += 2) entry.set(fields[i]!.toString(), fields[i + 1]!)
    const end = Number(entry.get('end'))
    if (seen.has(end)) found.push(`window to ${end} was written again after it was closed`)
    const into = rows.get(end) ?? new Map<string, Buffer>()
    rows.set(end, into)
    readRows(entry.get('rows')!, into, (group) => {
      found.push(`window to ${end} has group ${group} twice`)
    })
    if (entry.get('last')?.toString() === '1') seen.add(end)
  }
  for (const [end, groups] of expected) {
    if (String(end) === closing) continue
    if (!rows.has(end)) found.push(`window to ${end} was never closed`)
    else found.push(...differences(`window to ${end}`, groups, rows.get(end)!))
  }
  for (const end of rows.keys()) {
    if (!expected.has(end)) found.push(`window to ${end} was closed, but has no records`)
    if (!seen.has(end) && String(end) !== closing) found.push(`window to ${end} was closed in part`)
  }
  return found
}

function openPanes(world: World, keys: Keys, closed: boolean): string[] {
  const { model } = world.serverOf(keys)
  if (model.execute(['HEXISTS', keys.clock, 'closing']) === 1) return []
  const found: string[] = []
  const open = hash(model.execute(['HGETALL', keys.panes]))
  for (const [start, groups] of expectedRows(world, keys.shard).panes) {
    if (start + world.job.windowSizeMs <= world.witness.of(keys.shard).finalTo) continue
    const held = model.executeBuffer(['HGETALL', keys.pane(start)]) as Buffer[]
    const cells = new Map<string, Buffer>()
    for (let i = 0; i < held.length; i += 2) cells.set(held[i]!.toString(), held[i + 1]!)
    found.push(...differences(`pane from ${start}`, groups, cells))
    if (!open.has(String(start))) found.push(`pane from ${start} is not in the list`)
  }
  if (closed && open.size > 0) found.push(`${open.size} panes are open`)
  return found
}

export function expectedRows({ witness, job }: World, shard = 0) {
  const windows = new Map<number, Map<string, Row>>()
  const panes = new Map<number, Map<string, Row>>()
  const { windowSizeMs: size, windowSlideMs: slide } = job
  for (const { record, closedTo } of witness.of(shard).counted) {
    const pane = Math.floor(record.time! / slide) * slide
    add(panes, pane, record)
    for (let end = pane + slide; end <= pane + size; end += slide) {
      if (end > closedTo && end <= witness.of(shard).closedTo) add(windows, end, record)
    }
  }
  return { windows, panes }
}

export function add(into: Map<number, Map<string, Row>>, at: number, record: SimRecord): void {
  let groups = into.get(at)
  if (!groups) into.set(at, (groups = new Map()))
  const key = JSON.stringify([record.group])
  groups.set(key, withRecord(groups.get(key), record))
}

/** The row with one more record. */
export function withRecord(row: Row | undefined, record: SimRecord): Row {
  const { micros } = record
  if (!row) return { n: 1n, micros, least: micros, greatest: micros, last: record }
  row.n++
  row.micros += micros
  if (micros < row.least) row.least = micros
  if (micros > row.greatest) row.greatest = micros
  if (isAfter(record, row.last)) row.last = record
  return row
}

const isAfter = (a: SimRecord, b: SimRecord): boolean =>
  (a.time! - b.time! || a.partition - b.partition || a.offset - b.offset) > 0

export function readRows(
  bytes: Buffer,
  into: Map<string, Buffer>,
  twice: (group: string) => void,
): void {
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    const group = bytes.toString('utf8', at + 4, at + 4 + length)
    at += 4 + length
    if (into.has(group)) twice(group)
    const end = stateEnd(bytes, at)
    into.set(group, bytes.subarray(at, end))
    at = end
  }
}

/** Where a group's state ends that begins at `at`; `span`: slots beyond the usual. */
export function stateEnd(bytes: Buffer, at: number, span = 0): number {
  let end = at + (CELLS + span) * 8
  for (let sketch = 0; sketch < SKETCHES; sketch++) end += 4 + bytes.readUInt32LE(end)
  return end
}

/** count, sum (two slots), average (three), least, greatest; then quantiles and the last value. */
export const CELLS = 8
const SKETCHES = 2

export function differences(what: string, expected: Map<string, Row>, rows: Map<string, Buffer>) {
  const found: string[] = []
  for (const [group, row] of expected) {
    const cells = rows.get(group)
    const told = cells ? cellsText(cells) : 'missing'
    const right = rowText(row)
    if (told !== right) found.push(`${what}, group ${group}: ${told}; the records give ${right}`)
  }
  for (const group of rows.keys()) {
    if (!expected.has(group)) found.push(`${what}: group ${group} has no records`)
  }
  return found
}

export function rowText({ n, micros, least, greatest, last }: Row): string {
  const real = (value: bigint) => String(Number(value) / 1_000_000)
  const { time, partition, offset } = last
  const end = `${time}|${partition}|${offset}|0 ${real(last.micros)}`
  return `${n} ${micros} ${n} ${micros} ${real(least)} ${real(greatest)} ${n} ${end}`
}

export function cellsText(cells: Buffer, span = 0): string {
  const slot = (i: number) => cells.readDoubleLE(i * 8)
  const sum = (i: number) => BigInt(slot(i)) * 2n ** 52n + BigInt(slot(i + 1))
  const sketches = (CELLS + span) * 8
  const counts = cells.subarray(sketches + 4, sketches + 4 + cells.readUInt32LE(sketches))
  let records = 0
  // A letter, then entries of a bucket (u16) and its count.
  for (let at = 1; at < counts.length; at += 10) records += counts.readDoubleLE(at + 2)
  // A letter, four numbers that say where, and the value's JSON.
  const end = cells.subarray(sketches + 4 + counts.length + 5)
  const place = [0, 8, 16, 24].map((at) => end.readDoubleLE(at)).join('|')
  const value = Number(end.toString('utf8', 32))
  const numbers = `${slot(0)} ${sum(1)} ${slot(3)} ${sum(4)} ${slot(6)} ${slot(7)}`
  return `${numbers} ${records} ${place} ${value}`
}

export function hash(flat: unknown): Map<string, string> {
  const result = new Map<string, string>()
  const list = flat as string[]
  for (let i = 0; i < list.length; i += 2) result.set(list[i]!, list[i + 1]!)
  return result
}
