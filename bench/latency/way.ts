/**
 * The way of records through a pipeline at work, as Redis saw it: from the lines of MONITOR.
 *
 *   … → appended (its entry is in the stream) → read (handed to an executor) → called (the commit has
 *   come to Redis) → committed
 *
 * When an entry is handed to an executor is in no line: whoever blocks in XREADGROUP gets it at the
 * append's end, whoever comes later gets it then, both in order. That is played here again, from the
 * first call of each executor on; for what was handed out before that, nothing is told. Pure.
 */
import type { Keys } from '../../actors/keys.ts'

export const wayStages = ['appended', 'read', 'called', 'committed'] as const
export type WayStage = (typeof wayStages)[number]

/** Redis's clock, epoch ms with a fraction; NaN for what was not seen. */
export type Way = Record<WayStage, number>

interface Entry extends Way {
  partition: number
  /** Offsets, half-open. */
  from: number
  to: number
}

/** A run of an entry's records that one commit carries. */
interface Slice {
  entry: Entry
  from: number
  to: number
  called: number
  committed: number
}

/** Arguments of the commit function in front of its slices, and of one slice (commit.lua). */
const COMMIT_HEAD = 16
const SLICE_LENGTH = 11

export class Ways {
  readonly #keys: Keys
  readonly #entries = new Map<string, Entry>()
  /** Appended by a call that is not over yet; appended and not handed out. */
  #appending: Entry[] = []
  #queue: Entry[] = []
  /** Executors that block, in the order in which they came, with how many entries each takes. */
  readonly #blocked = new Map<string, number>()
  readonly #known = new Set<string>()
  #calling: Slice[] = []
  readonly #slices: Slice[] = []

  constructor(keys: Keys) {
    this.#keys = keys
  }

  /** A line of MONITOR: `+1700000000.123456 [0 127.0.0.1:50000] "XADD" "…" …` */
  see(line: string): void {
    const [, seconds, command, rest] = /^\+(\d+\.\d+) \[[^\]]+\] "(\w+)" ?(.*)$/s.exec(line) ?? []
    if (seconds === undefined) return
    const at = Number(seconds) * 1_000
    const { entries, totals } = this.#keys
    switch (command!.toUpperCase()) {
      case 'XADD':
        if (rest!.startsWith(`"${entries}"`)) this.#appended(words(rest!, 8))
        return
      case 'XREADGROUP':
        if (rest!.includes(` "${entries}" `)) this.#reads(at, words(rest!, 5))
        return
      case 'FCALL':
        if (/^"\w+_commit"/.test(rest!)) this.#called(at, rest!)
        return
      case 'HSET':
        // The last that the append function does, and the last of the commit function.
        if (rest!.startsWith(`"${totals}" "appended"`)) this.#handOut(at)
        if (rest!.startsWith(`"${totals}" "committed"`)) this.#committed(at)
        return
      default:
        return
    }
  }

  /** Of the record at this offset; null where its commit was not seen. */
  of(partition: number, offset: number): Way | null {
    const slice = this.#slices.find(
      ({ entry, from, to }) => entry.partition === partition && from <= offset && offset < to,
    )
    if (!slice) return null
    const { appended, read } = slice.entry
    return { appended, read, called: slice.called, committed: slice.committed }
  }

  /** `XADD entries * p 0 from 12 to 13 …` */
  #appended([, , , partition, , from, , to]: string[]): void {
    const unknown = {
      appended: Number.NaN,
      read: Number.NaN,
      called: Number.NaN,
      committed: Number.NaN,
    }
    const entry = { partition: Number(partition), from: Number(from), to: Number(to), ...unknown }
    this.#entries.set(`${partition}:${from}`, entry)
    this.#appending.push(entry)
  }

  /** The append is over. The commit function counts `appended` too, with nothing on its way here. */
  #handOut(at: number): void {
    for (const entry of this.#appending) entry.appended = at
    this.#queue.push(...this.#appending)
    this.#appending = []
    for (const [executor, count] of this.#blocked) {
      if (this.#queue.length === 0) return
      this.#blocked.delete(executor)
      this.#take(at, count)
    }
  }

  /** `XREADGROUP GROUP executors ME COUNT 3 …` */
  #reads(at: number, [, , executor, , count]: string[]): void {
    this.#blocked.delete(executor!)
    // It has blocked unseen until now, and may have been given any of these.
    if (!this.#known.has(executor!)) this.#queue = []
    this.#known.add(executor!)
    if (this.#queue.length > 0) this.#take(at, Number(count))
    else this.#blocked.set(executor!, Number(count))
  }

  #take(at: number, count: number): void {
    for (const entry of this.#queue.splice(0, count)) entry.read = at
  }

  #called(at: number, rest: string): void {
    // In front of the arguments: the function's name, the number of keys, the key.
    const first = 3 + COMMIT_HEAD + 1
    const count = Number(words(rest, first).at(-1))
    const args = words(rest, first + count * SLICE_LENGTH).slice(first)
    this.#calling = Array.from({ length: count }, (_, i) => {
      const [, partition, entryFrom, , , , from, to] = args.slice(i * SLICE_LENGTH)
      const entry = this.#entries.get(`${partition}:${entryFrom}`)
      if (!entry) return null
      // Somebody had it whom we did not know to have it.
      this.#queue = this.#queue.filter((waiting) => waiting !== entry)
      return { entry, from: Number(from), to: Number(to), called: at, committed: Number.NaN }
    }).filter((slice) => slice !== null)
  }

  /** A commit that is refused counts nothing, and the next call takes its place. */
  #committed(at: number): void {
    for (const slice of this.#calling) this.#slices.push({ ...slice, committed: at })
    this.#calling = []
  }
}

/** The first `count` words in quotes; a word holds no quote but an escaped one. */
function words(text: string, count: number): string[] {
  const quoted = /"((?:[^"\\]|\\.)*)"/gy
  const found: string[] = []
  while (found.length < count) {
    const match = quoted.exec(text)
    if (!match) break
    found.push(match[1]!)
    quoted.lastIndex++
  }
  return found
}
