/**
 * C5 for closed windows: takes the entries of the closed stream as they appear, in their order, and
 * finds a window that is closed twice, before its time, or with a row twice, and an entry that has
 * changed since it was seen. Memory is bounded: of entries it keeps a hash each, of the windows only
 * the one that is being closed. Where windows are told more than once, each telling has the number behind
 * that of the one before, from 0, and none follows the final one. Pure.
 */
import { type Finding, wrong } from './checks.ts'

/** An entry of the stream; `rows` are its bytes, `groups` the group keys that they hold. */
export interface ClosedEntry {
  id: string
  start: number
  end: number
  last: boolean
  rows: Uint8Array
  groups: readonly string[]
  /** Null where the job tells each window once. */
  told?: Told | null
}

/** Which telling of a window it is; `closedTo`: up to there windows were closed when it was written. */
export interface Told {
  revision: number
  isOpen: boolean
  isFinal: boolean
  closedTo: number
}

/** Beyond the stream's own bound entries can't be read again. */
const ENTRIES_KEPT = 20_000

export class ClosedWindows {
  /** Windows that are closed. */
  count = 0
  readonly #entries = new Map<string, number | bigint>()
  readonly #groups = new Set<string>()
  #newest = '0-0'
  /** End of the newest window that is closed. */
  #closedTo = -Infinity
  #open: number | null = null
  /** Of windows that are told more than once, by their ends; what is final is told no more. */
  readonly #revisions = new Map<number, { newest: number; isFinal: boolean }>()
  /** Of windows that end by then no telling is known any more. */
  #settledTo = -Infinity
  readonly #whole: boolean

  /** @param whole whether the first telling of a window that is taken is the first that there ever was */
  constructor(whole = false) {
    this.#whole = whole
  }

  /** Id of the newest entry that was taken; reading goes on behind it. */
  get newest(): string {
    return this.#newest
  }

  take({ id, start, end, last, rows, groups, told = null }: ClosedEntry): Finding[] {
    const hash = Bun.hash(rows, Bun.hash.crc32(`${start} ${end} ${last}`))
    const known = this.#entries.get(id)
    if (known !== undefined) {
      return known === hash ? [] : [wrong('C5', `${windowName(end)} changed after it was closed`)]
    }
    this.#remember(id, hash)
    const found: Finding[] = []
    if (told) found.push(...this.#followUp(end, told, last))
    else if (end <= this.#closedTo) {
      found.push(wrong('C5', `${windowName(end)} was closed twice`))
    }
    if (this.#open !== null && end !== this.#open) {
      found.push(wrong('C5', `${windowName(this.#open)} was left half closed for ${end}`))
      this.#groups.clear()
    }
    for (const group of groups) {
      if (this.#groups.has(group)) found.push(wrong('C5', `${windowName(end)} has ${group} twice`))
      this.#groups.add(group)
    }
    this.#open = last ? null : end
    if (last) {
      this.#groups.clear()
      this.#closedTo = Math.max(this.#closedTo, end)
      if (!told?.isOpen) this.count++
    }
    return found
  }

  /** Windows that end at or before this are told no more. */
  settle(finalTo: number): void {
    this.#settledTo = finalTo
    for (const end of this.#revisions.keys()) if (end <= finalTo) this.#revisions.delete(end)
  }

  #followUp(end: number, { revision, isFinal }: Told, last: boolean): Finding[] {
    const before = this.#revisions.get(end)
    if (last) this.#revisions.set(end, { newest: revision, isFinal })
    if (before?.isFinal || end <= this.#settledTo) {
      return [wrong('C5', `${windowName(end)} was told again after it was final`)]
    }
    const due = before ? before.newest + 1 : 0
    if (revision === due || (!before && !this.#whole)) return []
    return [wrong('C5', `${windowName(end)} was told as revision ${revision}, due was ${due}`)]
  }

  /** Redis was taken back to an earlier state: what is not there any more was never closed. */
  rolledBack(): void {
    this.#entries.clear()
    this.#groups.clear()
    this.#newest = '0-0'
    this.#closedTo = -Infinity
    this.#open = null
    this.#revisions.clear()
    this.count = 0
  }

  #remember(id: string, hash: number | bigint): void {
    this.#entries.set(id, hash)
    this.#newest = id
    if (this.#entries.size <= ENTRIES_KEPT) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      break
    }
  }
}

const windowName = (end: number) => `the window that ends at ${end}`
