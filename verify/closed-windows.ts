/**
 * C5 for closed windows: takes the entries of the closed stream as they appear, in their order, and
 * finds a window that is closed twice, before its time, or with a row twice, and an entry that has
 * changed since it was seen. Memory is bounded: of entries it keeps a hash each, of the windows only
 * the one that is being closed. Pure.
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

  /** Id of the newest entry that was taken; reading goes on behind it. */
  get newest(): string {
    return this.#newest
  }

  take({ id, start, end, last, rows, groups }: ClosedEntry): Finding[] {
    const hash = Bun.hash(rows, Bun.hash.crc32(`${start} ${end} ${last}`))
    const known = this.#entries.get(id)
    if (known !== undefined) {
      return known === hash ? [] : [wrong('C5', `${windowName(end)} changed after it was closed`)]
    }
    this.#remember(id, hash)
    const found: Finding[] = []
    if (end <= this.#closedTo) found.push(wrong('C5', `${windowName(end)} was closed twice`))
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
      this.count++
    }
    return found
  }

  /** Redis was taken back to an earlier state: what is not there any more was never closed. */
  rolledBack(): void {
    this.#entries.clear()
    this.#groups.clear()
    this.#newest = '0-0'
    this.#closedTo = -Infinity
    this.#open = null
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
