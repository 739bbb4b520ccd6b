/**
 * The witness: sees every command that Redis executed, and keeps a truth of its own, from the records
 * that were made and by other arithmetic. What contradicts it is a finding, at the very command.
 *
 *   append → where each partition stands   commit → each record applied once, judged rightly
 *   advance → the watermark never beyond what is finished; nothing goes back
 *
 * When Redis comes back older, so does the witness: what was forgotten may happen again.
 */
import type { Job } from '../../actors/job.ts'
import { topicIndexOf } from '../../actors/topics.ts'
import { isRevised } from '../../actors/windows/revisions.ts'
import type { SimRecord } from './records.ts'
import type { Argument, Reply, Server } from './server.ts'
import { tellingFindings, tellingsAfter } from './tellings.ts'
import type { Trace } from './trace.ts'

/** What is known of one partition; offsets index the arrays. */
interface Place {
  next: number
  high: number
  seenAt: number
  dataAt: number
  /** 1 where an offset was committed. */
  applied: Uint8Array
  /** End of the contiguous applied prefix, and the newest usable event time in it. */
  prefix: number
  newest: number | null
  /** How far the watermark went while this partition had no say. */
  excusedTo: number
}

/** How a record was judged at its commit. */
export interface Judgement {
  record: SimRecord
  /** Windows that end at or before it were closed for good, and go without this record. */
  closedTo: number
}

export interface WitnessState {
  places: Map<number, Place>
  watermark: number
  closedTo: number
  /** Up to there closed windows take nothing any more; closedTo where none ever does. */
  finalTo: number
  /** Id of the newest entry that was looked at of the streams of closed and of open windows. */
  toldTo: Record<'closed' | 'updates', string>
  /** Ends of the windows that were told as closed. */
  told: ReadonlySet<number>
  counted: Judgement[]
  totals: { counted: number; filtered: number; late: number; rejected: number }
}

export interface WitnessOptions {
  job: Job
  trace: Trace
  /** Per partition, by offset. */
  records: Map<number, Map<number, SimRecord>>
  /** Per partition: the end of all that there will ever be. */
  ends: Map<number, number>
  idleAfterMs: number
}

export class Witness {
  readonly findings: string[] = []
  readonly #options: WitnessOptions
  #state: WitnessState = {
    places: new Map(),
    watermark: -Infinity,
    closedTo: -Infinity,
    finalTo: -Infinity,
    toldTo: { closed: '0-0', updates: '0-0' },
    told: new Set(),
    counted: [],
    totals: { counted: 0, filtered: 0, late: 0, rejected: 0 },
  }
  server: Server | null = null

  constructor(options: WitnessOptions) {
    this.#options = options
  }

  get state(): Readonly<WitnessState> {
    return this.#state
  }

  find(text: string): void {
    this.#options.trace.say(`FINDING ${text}`)
    this.findings.push(text)
  }

  /** Whether every record there is now was applied. */
  hasAll(partitions: readonly { partition: number; end: number }[]): boolean {
    return partitions.every(({ partition, end }) => {
      const place = this.#state.places.get(partition)
      return place !== undefined && place.prefix >= end && place.next >= end
    })
  }

  /** A copy that later events leave alone. */
  save(): WitnessState {
    const { places, counted, totals } = this.#state
    return {
      ...this.#state,
      places: new Map(
        [...places].map(([p, place]) => [p, { ...place, applied: place.applied.slice() }]),
      ),
      counted: [...counted],
      totals: { ...totals },
    }
  }

  restore(state: WitnessState): void {
    this.#state = state
  }

  /** Sees a command and what was answered. */
  readonly observe = (_: unknown, args: Argument[], { value, error }: Reply): void => {
    if (args[0] !== 'FCALL' || error !== null) return
    const name = String(args[1])
    switch (name.slice(name.lastIndexOf('_') + 1)) {
      case 'open':
        return this.#opened(args, value as Argument[])
      case 'append':
        return this.#appended(args, (value as number[])[0]!)
      case 'seen':
        return this.#seen(args)
      case 'commit':
        return this.#committed(args, value as Argument[])
      case 'advance':
        return this.#advanced(String(args[3]), value as Argument[])
      case 'claim':
        if ((value as unknown[]).length > 0) this.#options.trace.count('entries claimed')
        return
      default:
    }
  }

  #opened(args: Argument[], reply: Argument[]): void {
    // Redis came back older, without the topics that were listed just now.
    if (String(reply[0]) === 'topics') return
    if (String(reply[0]) !== 'ok') return this.find(`open was answered with ${String(reply[0])}`)
    const now = Math.floor(this.server!.nowMs)
    for (let i = 1; i < reply.length; i += 2) {
      const p = Number(reply[i])
      const next = Number(reply[i + 1])
      const held = this.#state.places.get(p)
      if (held && held.next !== next) {
        this.find(`partition ${p}: the ledger says ${next}, but ${held.next} was appended`)
      }
      if (!held) {
        if (topicIndexOf(p) > 0) this.#options.trace.count('another topic opened')
        const end = this.#options.ends.get(p)!
        this.#state.places.set(p, {
          next,
          high: 0,
          seenAt: now,
          dataAt: now,
          applied: new Uint8Array(end),
          prefix: 0,
          newest: null,
          excusedTo: this.#unborn.get(p) ?? -Infinity,
        })
      }
    }
    for (let i = 6; i < args.length; i += 3) this.#end(Number(args[i]), Number(args[i + 2]))
  }

  #end(p: number, high: number): void {
    const place = this.#state.places.get(p)
    if (!place) return
    const now = Math.floor(this.server!.nowMs)
    // While nobody looked, or where the clock was set, nobody can say that it was quiet.
    if (now < place.seenAt || now - place.seenAt > UNSEEN_MS) place.dataAt = now
    place.high = high
    place.seenAt = now
  }

  #appended(args: Argument[], outcome: number): void {
    const { trace } = this.#options
    const [p, expected, next, high] = args.slice(4, 8).map(Number) as [
      number,
      number,
      number,
      number,
    ]
    if (outcome === 0) return trace.count('append refused')
    if (outcome === 2) return trace.count('payload expired')
    const place = this.#state.places.get(p)
    if (!place) return this.find(`partition ${p} was appended to before it was opened`)
    if (place.next !== expected) {
      this.find(`partition ${p}: offsets from ${expected} appended where ${place.next} is next`)
    }
    let from = expected
    for (let i = 8; i < args.length; i += 4) {
      if (Number(args[i]) !== from) this.find(`partition ${p}: entries leave a hole at ${from}`)
      from = Number(args[i + 1])
    }
    if (args.length > 8 && from !== next) this.find(`partition ${p}: entries end before ${next}`)
    if (args.length === 8) this.#apply(p, place, expected, next)
    place.next = next
    this.#end(p, high)
    if (args.length > 8) place.dataAt = Math.floor(this.server!.nowMs)
    trace.count('appended')
  }

  #seen(args: Argument[]): void {
    for (let i = 4; i < args.length; i += 2) this.#end(Number(args[i]), Number(args[i + 1]))
  }

  /** Marks [from, to) as applied; answers with its records. */
  #apply(p: number, place: Place, from: number, to: number): SimRecord[] {
    const records = this.#options.records.get(p)!
    const found: SimRecord[] = []
    for (let offset = from; offset < to; offset++) {
      const record = records.get(offset)
      if (place.applied[offset] === 1) {
        if (record) this.find(`partition ${p}: the record at offset ${offset} was applied twice`)
      }
      place.applied[offset] = 1
      if (record) found.push(record)
    }
    while (place.prefix < place.applied.length && place.applied[place.prefix] === 1) {
      const time = records.get(place.prefix)?.time ?? null
      if (time !== null && (place.newest === null || time > place.newest)) place.newest = time
      place.prefix++
    }
    return found
  }

  #committed(args: Argument[], reply: Argument[]): void {
    const { trace } = this.#options
    const outcome = String(reply[0])
    trace.count(`commit ${outcome}`)
    if (outcome !== 'ok') return
    const commit = readCommit(args)
    const records: SimRecord[] = []
    for (const { partition, from, to, records: told, done } of commit.slices) {
      const place = this.#state.places.get(partition)
      if (!place) return this.find(`partition ${partition} was committed but never appended`)
      const found = this.#apply(partition, place, from, to)
      if (found.length !== told) {
        this.find(
          `partition ${partition}: ${told} records committed of ${from}..${to}, which has ${found.length}`,
        )
      }
      if (!done) trace.count('commit of a part')
      records.push(...found)
    }
    this.#judge(records, commit)
  }

  #judge(records: SimRecord[], commit: Commit): void {
    const { job, trace } = this.#options
    const { finalTo: closedTo, totals } = this.#state
    const is = (record: SimRecord, reason: string) =>
      commit.verdicts.has(`${record.partition}|${reason}|${record.offset}`)
    const expected = { counted: 0, filtered: 0, late: 0, rejected: 0, partly: 0 }
    for (const record of records) {
      const place = `partition ${record.partition}, offset ${record.offset}`
      if (is(record, 'poison') || is(record, 'groups')) {
        expected.rejected++
        trace.count(is(record, 'poison') ? 'record poison' : 'record groups')
      } else if (record.kind === 'rejected' || record.kind === 'future') {
        expected.rejected++
        trace.count(`record ${record.kind}`)
      } else if (record.kind === 'filtered') {
        expected.filtered++
        trace.count('record filtered')
      } else if (is(record, 'late')) {
        expected.late++
        trace.count('record late')
        if (!this.#mayBeLate(record)) this.find(`${place}: late, though it was in time`)
      } else if (record.kind === 'value') {
        expected.rejected++
        trace.count('record value')
      } else {
        expected.counted++
        const pane = paneOf(record, job)
        if (pane + job.windowSizeMs <= closedTo) {
          this.find(`${place}: counted, though all of its windows are closed`)
        }
        if (missesSome(record, job, closedTo)) {
          expected.partly++
          trace.count('record partly')
          if (!is(record, 'partly')) this.find(`${place}: missed a closed window unsaid`)
        }
        this.#state.counted.push({ record, closedTo })
      }
    }
    for (const kind of ['counted', 'filtered', 'late', 'rejected', 'partly'] as const) {
      if (commit[kind] !== expected[kind]) {
        this.find(`a commit says ${commit[kind]} ${kind}, and has ${expected[kind]}`)
      }
      if (kind !== 'partly') totals[kind] += expected[kind]
    }
  }

  /**
   * All of its windows are closed, and it is further behind the newest one before it than the delay
   * allows, or its partition had no say when they closed.
   */
  #mayBeLate(record: SimRecord): boolean {
    const { job } = this.#options
    const end = lastEnd(record, job)
    if (end > this.#state.finalTo) return false
    const { newestBefore, partition } = record
    const allowed = job.watermarkDelayMs + job.allowedLatenessMs
    if (newestBefore !== null && record.time! < newestBefore - allowed) return true
    return end <= this.#state.places.get(partition)!.excusedTo - job.allowedLatenessMs
  }

  #advanced(base: string, reply: Argument[]): void {
    const state = this.#state
    const watermark = String(reply[0]) === '' ? -Infinity : Number(reply[0])
    const closedTo = String(reply[1]) === '' ? -Infinity : Number(reply[1])
    if (watermark < state.watermark) {
      this.find(`the watermark went back from ${state.watermark} to ${watermark}`)
    }
    if (closedTo < state.closedTo) {
      this.find(`closedTo went back from ${state.closedTo} to ${closedTo}`)
    }
    if (closedTo > watermark) this.find(`windows closed to ${closedTo}, the watermark ${watermark}`)
    const { job } = this.#options
    const finalTo = job.allowedLatenessMs > 0 ? Number(reply[4] || -Infinity) : closedTo
    if (finalTo < state.finalTo) {
      this.find(`finalTo went back from ${state.finalTo} to ${finalTo}`)
    }
    if (finalTo > closedTo || finalTo > watermark - job.allowedLatenessMs) {
      this.find(`windows final to ${finalTo}, closed to ${closedTo}, the watermark ${watermark}`)
    }
    if (watermark > state.watermark) this.#checkWatermark(watermark)
    if (closedTo > state.closedTo) this.#options.trace.count('window ends passed')
    state.watermark = watermark
    state.closedTo = closedTo
    state.finalTo = finalTo
    if (isRevised(job)) this.#look(base)
  }

  /** Each telling of a window must be right at its moment: commits wait for it. */
  #look(base: string): void {
    const { job, trace } = this.#options
    const state = this.#state
    const ask = (...command: string[]) => this.server!.model.executeBuffer(command)
    const told = (['closed', 'updates'] as const).flatMap((stream) => {
      const found = tellingsAfter(ask, `${base}:${stream}`, state.toldTo[stream])
      state.toldTo = { ...state.toldTo, [stream]: found.newest }
      return found.told
    })
    for (const telling of told) {
      const isAgain = telling.kind !== 'open' && state.told.has(telling.end)
      trace.count(`told as ${telling.kind}${isAgain ? ' again' : ''}`)
      if (telling.kind !== 'open') state.told = new Set([...state.told, telling.end])
      for (const text of tellingFindings(telling, job, state.counted)) this.find(text)
    }
  }

  #checkWatermark(watermark: number): void {
    const { watermarkDelayMs } = this.#options.job
    const now = Math.floor(this.server!.nowMs)
    let bound = Infinity
    let greatest = -Infinity
    let lastData = -Infinity
    for (const [p, place] of this.#state.places) {
      greatest = Math.max(greatest, place.newest ?? -Infinity)
      lastData = Math.max(lastData, place.dataAt)
      if (this.#isExcused(place, now)) {
        place.excusedTo = Math.max(place.excusedTo, watermark)
        this.#options.trace.count('watermark without an idle partition')
      } else {
        bound = Math.min(bound, (place.newest ?? -Infinity) - watermarkDelayMs)
        if (place.newest === null) this.find(`the watermark passed unread partition ${p}`)
      }
    }
    if (bound === Infinity) bound = greatest - watermarkDelayMs + now - lastData
    if (watermark > bound)
      this.find(`the watermark is ${watermark}, what is finished gives ${bound}`)
    // A partition that the ledger does not know yet has no say either.
    for (const p of this.#options.records.keys()) {
      if (!this.#state.places.has(p)) this.#unborn.set(p, watermark)
    }
  }

  readonly #unborn = new Map<number, number>()

  #isExcused(place: Place, now: number): boolean {
    const { next, high, prefix, seenAt, dataAt, newest } = place
    const atEnd = prefix >= next && next >= high && now - seenAt < 5_000
    const barren = newest === null && next > 0
    return atEnd && (barren || now - dataAt >= this.#options.idleAfterMs)
  }
}

const UNSEEN_MS = 10_000

interface Commit {
  counted: number
  filtered: number
  late: number
  rejected: number
  partly: number
  slices: { partition: number; from: number; to: number; records: number; done: boolean }[]
  /** `partition|reason|offset` */
  verdicts: Set<string>
}

const paneOf = ({ time }: SimRecord, { windowSlideMs }: Job) =>
  Math.floor(time! / windowSlideMs) * windowSlideMs

/** Whether what is closed may lack the record: windows do, and of sessions nobody else can know. */
const missesSome = (record: SimRecord, job: Job, closedTo: number) =>
  job.gapMs === null ? paneOf(record, job) + job.windowSlideMs <= closedTo : record.time! < closedTo

/** Where the last of a record's windows ends, or a session that is of this record alone. */
function lastEnd(record: SimRecord, job: Job): number {
  const end = paneOf(record, job) + job.windowSizeMs
  return job.gapMs === null ? end : Math.min(end, record.time! + job.gapMs)
}

/** The arguments of a commit; their order stands in commit.lua. */
function readCommit(args: Argument[]): Commit {
  let at = 4
  const take = () => String(args[at++])
  const number = () => Number(take())
  at += 9 // me, ops, size, slide, closedTo, groups, rejects and verdicts kept, topic
  const [counted, filtered, late, rejected, partly] = [1, 2, 3, 4, 5].map(number) as [
    number,
    number,
    number,
    number,
    number,
  ]
  at += 2 // busy µs, hash
  const slices = Array.from({ length: number() }, () => {
    at++ // entry
    const partition = number()
    at += 4 // the entry's offsets, announced, bytes
    const [from, to] = [number(), number()]
    at++ // newest event time
    return { partition, from, to, records: number(), done: take() === '1' }
  })
  for (let panes = number(); panes > 0; panes--) {
    at += 4 // start, groups, keys, states
  }
  const rejects = number()
  at += 5 * rejects
  const verdicts = new Set<string>()
  for (let left = number(); left > 0; left--) {
    const [partition, reason] = [take(), take()]
    at++
    for (const offset of take().split(',')) verdicts.add(`${partition}|${reason}|${offset}`)
  }
  return { counted, filtered, late, rejected, partly, slices, verdicts }
}
