/**
 * Windows of several shards: which records each shard closed its part of a window with, and whether what was
 * joined of them is whole.
 *
 * A shard that comes back older closes some windows a second time, and what was late the first time may be in
 * time then, or the other way round. What was joined before stays, and so it must be what the shards
 * closed in one of their lives; a record that can't be late is the same in all of them.
 */
import type { Job } from '../../actors/job.ts'
import { add, differences, readRows, type Row } from './checks.ts'
import type { SimRecord } from './records.ts'
import type { World } from './world.ts'
import type { Judgement } from './shard-state.ts'

/** From a shard's beginning to now, or to where it came back older. */
interface Life {
  closedTo: number
  /** Window's end → its records. */
  windows: Map<number, SimRecord[]>
}

export class Parts {
  readonly #job: Job
  /** Shard → its lives, the present one last. */
  #lives: Life[][] = []

  constructor(job: Job) {
    this.#job = job
  }

  watch(shards: number): void {
    this.#lives = Array.from({ length: shards }, () => [
      { closedTo: -Infinity, windows: new Map() },
    ])
  }

  /** A shard closed its windows from one end, behind it, up to another. */
  closed(
    shard: number,
    counted: readonly Judgement[],
    { from, to }: { from: number; to: number },
  ): void {
    const life = this.#lives[shard]!.at(-1)!
    const { windowSizeMs: size, windowSlideMs: slide } = this.#job
    for (const { record, closedTo } of counted) {
      const pane = Math.floor(record.time! / slide) * slide
      for (let end = pane + slide; end <= pane + size; end += slide) {
        if (end <= closedTo || end <= from || end > to) continue
        life.windows.set(end, [...(life.windows.get(end) ?? []), record])
      }
    }
    life.closedTo = to
  }

  /** A shard comes back as it was when it had closed to there. */
  fork(shard: number, closedTo: number): void {
    const lives = this.#lives[shard]!
    const kept = [...lives.at(-1)!.windows].filter(([end]) => end <= closedTo)
    lives.push({ closedTo, windows: new Map(kept) })
  }

  /** Ends of all windows that any shard ever closed a part of. */
  ends(): number[] {
    return [...new Set(this.#lives.flat().flatMap(({ windows }) => [...windows.keys()]))]
  }

  /** What may be joined of a window, the shards' present lives first; nothing where one has not closed it. */
  choices(end: number): Map<string, Row>[] {
    let all: SimRecord[][] = [[]]
    for (const lives of this.#lives) {
      const parts = new Map<string, SimRecord[]>()
      for (const { closedTo, windows } of [...lives].reverse()) {
        if (closedTo < end) continue
        const part = windows.get(end) ?? []
        parts.set(
          part
            .map(({ partition, offset }) => `${partition}:${offset}`)
            .sort()
            .join(),
          part,
        )
      }
      all = all.flatMap((before) => [...parts.values()].map((part) => [...before, ...part]))
    }
    return all.map(rowsOf)
  }
}

function rowsOf(records: readonly SimRecord[]): Map<string, Row> {
  const windows = new Map<number, Map<string, Row>>()
  for (const record of records) add(windows, 0, record)
  return windows.get(0) ?? new Map<string, Row>()
}

/** C3 and C5: each window that is joined is there once, and whole. */
export function joinedFindings(world: World): string[] {
  const { home, keys, witness } = world
  const { model } = home
  const { joinedTo } = witness.state
  const closing = Number(model.execute(['HGET', keys.clock, 'closing']) ?? Number.NaN)
  const found: string[] = []
  const { rows, whole } = joinedRows(world, found)
  const ends = new Set([...rows.keys(), ...witness.parts.ends().filter((end) => end <= joinedTo)])
  for (const end of ends) {
    if (end === closing) continue
    if (end > joinedTo) found.push(`window to ${end} was joined before its time`)
    if (rows.has(end) && !whole.has(end)) found.push(`window to ${end} was joined in part`)
    found.push(...unlike(world, end, rows.get(end)))
  }
  return found
}

function unlike(
  { witness, trace }: World,
  end: number,
  rows: Map<string, Buffer> | undefined,
): string[] {
  const choices = witness.parts.choices(end)
  if (choices.length === 0) return [`window to ${end} was joined before all shards closed it`]
  const told = choices.map((expected) => {
    if (!rows) return expected.size === 0 ? [] : [`window to ${end} was never joined`]
    return differences(`window to ${end}`, expected, rows)
  })
  const right = told.findIndex((differing) => differing.length === 0)
  if (right > 0) trace.count('window of an earlier life')
  return right >= 0 ? [] : told[0]!
}

/** Window's end → its rows, of entries in their order; what is wrong with them is found. */
function joinedRows({ home, keys }: World, found: string[]) {
  const rows = new Map<number, Map<string, Buffer>>()
  const whole = new Set<number>()
  let newest = -Infinity
  const entries = home.model.executeBuffer(['XRANGE', keys.closed, '-', '+']) as [
    Buffer,
    Buffer[],
  ][]
  for (const [, fields] of entries) {
    const entry = new Map<string, Buffer>()
    for (let i = 0; i < fields.length; i += 2) entry.set(fields[i]!.toString(), fields[i + 1]!)
    const end = Number(entry.get('end'))
    if (end < newest) found.push(`window to ${end} was joined after that to ${newest}`)
    newest = Math.max(newest, end)
    if (whole.has(end)) found.push(`window to ${end} was written again after it was joined`)
    const into = rows.get(end) ?? new Map<string, Buffer>()
    rows.set(end, into)
    readRows(entry.get('rows')!, into, (group) => {
      found.push(`window to ${end} has group ${group} twice`)
    })
    if (entry.get('last')?.toString() === '1') whole.add(end)
  }
  return { rows, whole }
}
