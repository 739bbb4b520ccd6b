/**
 * A job's scanner: the layouts that its records were seen to have, newest hit first, each compiled to
 * the code that reads it. Learns from the records that no layout fits, ever more seldom where that
 * does not help, so that a topic of many shapes costs hardly more than without it.
 */
import { isKafkaTime } from '../event-time.ts'
import { fieldsReached } from '../fields.ts'
import type { Job } from '../job.ts'
import { arena } from './arena.ts'
import { type Layout, layoutOf } from './layout.ts'
import type { RecordCursor } from './records.ts'
import { compileScan, type Scan, type Wanted } from './scan.ts'
import { type SchemaNode, sourceOf } from './validate.ts'

/** As many programs as write a topic's records in layouts of their own. */
const LAYOUTS_MAX = 4
/** So many are parsed first: who was started for a few has committed them before there is code for more. */
const EARLY_RECORDS = 16
/** Hits are worth this many misses at the most, before scanning rests. */
const CREDIT_MAX = 64
const REST_RECORDS = 1_024

export class Scanner {
  readonly #wanted: Wanted
  #known: { layout: Layout; scan: Scan }[] = []
  #credit = CREDIT_MAX
  #resting = 0
  #early = EARLY_RECORDS
  /** Misses since a layout was learned last, and how many it takes until the next. */
  #misses = 0
  #patience = 1

  private constructor(wanted: Wanted) {
    this.#wanted = wanted
  }

  /** Null where the schema, or what the job's code reaches, can't be told from the outside. */
  static of(job: Job): Scanner | null {
    const wanted = wantedOf(job)
    return wanted && new Scanner(wanted)
  }

  /** The fields that the job's code reaches, of the cursor's record; undefined where it must be parsed. */
  scan(cursor: RecordCursor): unknown {
    if (this.#resting > 0) {
      this.#resting--
      return undefined
    }
    if (this.#known.length === 0 || !arena().hold(cursor.buffer)) return undefined
    const { start, end } = cursor
    for (let i = 0; i < this.#known.length; i++) {
      const row = attempt(this.#known[i]!.scan, start, end)
      if (row === undefined) continue
      if (i > 0) this.#first(i)
      if (this.#credit < CREDIT_MAX) this.#credit++
      return row
    }
    return undefined
  }

  /** A record that no layout fitted, and that the schema took. */
  learn(text: string): void {
    if (this.#resting > 0 || --this.#early >= 0) return
    if (--this.#credit < 0) {
      this.#credit = CREDIT_MAX / 2
      this.#resting = REST_RECORDS
    }
    if (++this.#misses < this.#patience) return
    this.#misses = 0
    this.#patience *= 2
    const layout = layoutOf(text)
    // Of a known one, with a value that only JSON.parse reads: it must not take the others' places.
    if (!layout || this.#known.some((known) => Bun.deepEquals(known.layout, layout))) return
    const scan = compileScan(layout, this.#wanted)
    if (scan) this.#known = [{ layout, scan }, ...this.#known].slice(0, LAYOUTS_MAX)
  }

  #first(index: number): void {
    const [known] = this.#known.splice(index, 1)
    this.#known.unshift(known!)
  }
}

/** A schema that throws is for those to tell who parse the record. */
function attempt(scan: Scan, start: number, end: number): unknown {
  try {
    return scan(start, end)
  } catch {
    return undefined
  }
}

function wantedOf(job: Job): Wanted | null {
  // `work` and `flatMap` get their record whole; only JSON can be scanned.
  const entries = job.work || job.flatMap || job.decode ? null : entriesOf(job.schema)
  if (!entries) return null
  const reached = [
    ...(isKafkaTime(job.eventTime) ? [] : [job.eventTime]),
    ...(job.filter ? [job.filter] : []),
    ...job.groups.map(({ of }) => of),
    ...job.aggregates.flatMap(({ aggregate }) => aggregate.of ?? []),
  ].map(fieldsReached)
  const fields = new Set<string>()
  for (const names of reached) {
    if (!names) return null
    for (const name of names) fields.add(name)
  }
  const known = [...fields].every((name) => Object.hasOwn(entries, name))
  return known ? { entries, fields } : null
}

/**
 * The fields of an object's schema that gives back each as it is; null for any other schema. Whether it
 * drops fields that it does not name makes no difference: nobody reaches them.
 */
function entriesOf({ type, entries, pipe }: SchemaNode) {
  if (pipe || !entries || !/^(loose_)?object$/.test(type)) return null
  const judged = Object.values(entries).every((entry) => sourceOf(entry, 'value') !== null)
  return judged ? entries : null
}
