/**
 * The witness: sees every command that Redis executed, and keeps a truth of its own, from the records
 * that were made and by other arithmetic. What contradicts it is a finding, at the very command.
 *
 *   append → where each partition stands   commit → each record applied once, judged rightly
 *   advance → the watermark never beyond what is finished; nothing goes back
 *   raise → the same of each shard, and never beyond what its own partitions allow at that moment
 *
 * When a Redis comes back older, so does the witness of its shards: what was forgotten may happen again.
 */
import type { Job } from '../../actors/job.ts'
import { topicIndexOf } from '../../actors/topics.ts'
import { type AppendPart, readAppend } from './append.ts'
import { readCommit } from './commit.ts'
import { isRevised } from '../../actors/windows/revisions.ts'
import { judge } from './judge.ts'
import { shardIn } from './network.ts'
import type { SimRecord } from './records.ts'
import { Parts } from './parts.ts'
import type { Argument, Reply, Server, Session } from './server.ts'
import {
  apply,
  copyOf,
  isExcused,
  type Place,
  placeAt,
  see,
  type ShardState,
  unbegun,
  type WitnessState,
} from './shard-state.ts'
import { type Standing, Standings } from './standings.ts'
import { tellingFindings, tellingsAfter } from './tellings.ts'
import type { Trace } from './trace.ts'

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
  /** What the shards of a job of several closed. */
  readonly parts: Parts
  #standings: Standings
  #shards: ShardState[] = [unbegun()]
  #servers: readonly Server[] = []
  /** The shard of the command that is looked at. */
  #shard = 0
  /** Partition that no ledger knows yet → how far the watermark went without it. */
  readonly #unborn = new Map<number, number>()

  constructor(options: WitnessOptions) {
    this.#options = options
    this.parts = new Parts(options.job)
    this.#standings = new Standings(1, options.job.watermarkDelayMs)
  }

  /** @param servers shard → where it is */
  watch(servers: readonly Server[]): void {
    this.#servers = servers
    this.#shards = servers.map(unbegun)
    this.parts.watch(servers.length)
    this.#standings = new Standings(servers.length, this.#options.job.watermarkDelayMs)
  }

  /** Of a job's only shard, or its first. */
  get state(): Readonly<ShardState> {
    return this.#shards[0]!
  }

  of(shard: number): Readonly<ShardState> {
    return this.#shards[shard]!
  }

  isBegun(shard: number): boolean {
    const { begun, places } = this.of(shard)
    return this.#shards.length > 1 ? begun : places.size > 0
  }

  get #state(): ShardState {
    return this.#shards[this.#shard]!
  }

  get #now(): number {
    return Math.floor(this.#servers[this.#shard]!.nowMs)
  }

  find(text: string): void {
    this.#options.trace.say(`FINDING ${text}`)
    this.findings.push(text)
  }

  /** Whether every record there is now was applied. */
  hasAll(partitions: readonly { partition: number; end: number }[]): boolean {
    return partitions.every(({ partition, end }) => {
      const place = this.#shards[this.#shardOf(partition)]!.places.get(partition)
      return place !== undefined && place.prefix >= end && place.next >= end
    })
  }

  #shardOf(partition: number): number {
    return this.#shards.length === 1 ? 0 : partition % this.#shards.length
  }

  /** A copy of some shards that later events leave alone. */
  save(shards: readonly number[]): WitnessState {
    return new Map(shards.map((shard) => [shard, copyOf(this.of(shard))]))
  }

  restore(states: WitnessState): void {
    for (const [shard, state] of states) {
      this.#shards[shard] = state
      this.parts.fork(shard, state.closedTo)
    }
  }

  /** Sees a command and what was answered. */
  readonly observe = ({ name: who }: Session, args: Argument[], { value, error }: Reply): void => {
    if (args[0] !== 'FCALL' || error !== null) return
    const name = String(args[1])
    this.#shard = shardIn(args[3]) ?? 0
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
      case 'standing':
        return this.#standings.note(who, this.#shard, this.#standing())
      case 'raise':
        return this.#raised(who, value as Argument[])
      case 'join':
        return this.#joined(args, value as number)
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
    const now = this.#now
    this.#state.begun = true
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
        const excusedTo = this.#unborn.get(p) ?? -Infinity
        this.#state.places.set(p, placeAt(next, end, now, excusedTo))
      }
    }
    for (let i = 6; i < args.length; i += 3) this.#see(Number(args[i]), Number(args[i + 2]))
  }

  #see(p: number, high: number): void {
    const place = this.#state.places.get(p)
    if (place) see(place, high, this.#now)
  }

  #appended(args: Argument[], outcome: number): void {
    const { trace } = this.#options
    if (outcome === 0) return trace.count('append refused')
    if (outcome === 2) return trace.count('payload expired')
    const parts = readAppend(args)
    if (parts.length > 1) trace.count('append of several partitions')
    for (const part of parts) this.#appendedTo(part)
  }

  #appendedTo({ partition: p, expected, next, high, entries }: AppendPart): void {
    const { trace } = this.#options
    const place = this.#state.places.get(p)
    if (!place) return this.find(`partition ${p} was appended to before it was opened`)
    if (place.next !== expected) {
      this.find(`partition ${p}: offsets from ${expected} appended where ${place.next} is next`)
    }
    let from = expected
    for (const entry of entries) {
      if (entry.from !== from) this.find(`partition ${p}: entries leave a hole at ${from}`)
      from = entry.to
    }
    if (entries.length > 0 && from !== next) this.find(`partition ${p}: entries end before ${next}`)
    if (entries.length === 0) this.#apply(p, place, expected, next)
    place.next = next
    this.#see(p, high)
    if (entries.length > 0) place.dataAt = this.#now
    trace.count('appended')
  }

  #seen(args: Argument[]): void {
    for (let i = 4; i < args.length; i += 2) this.#see(Number(args[i]), Number(args[i + 1]))
  }

  #apply(p: number, place: Place, from: number, to: number): SimRecord[] {
    const { found, again } = apply(place, this.#options.records.get(p)!, from, to)
    for (const { offset } of again) {
      this.find(`partition ${p}: the record at offset ${offset} was applied twice`)
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
    for (const text of judge(records, commit, this.#state, this.#options)) this.find(text)
  }

  /** What no clock of event time may do. */
  #ticked(reply: Argument[]): { watermark: number; closedTo: number } {
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
    return { watermark, closedTo }
  }

  #raised(who: string, reply: Argument[]): void {
    const state = this.#state
    const { watermark, closedTo } = this.#ticked(reply)
    if (watermark > state.watermark) this.#checkRaise(who, watermark)
    if (closedTo > state.closedTo) {
      this.#options.trace.count('window ends passed')
      this.#options.trace.count('window ends passed by a shard')
      this.parts.closed(this.#shard, state.counted, { from: state.closedTo, to: closedTo })
    }
    state.watermark = watermark
    state.closedTo = state.finalTo = closedTo
  }

  /** Its own partitions are asked at this very moment, those of others were a moment ago. */
  #checkRaise(who: string, watermark: number): void {
    const { watermarkDelayMs } = this.#options.job
    const own = this.#standing()
    const others = this.#standings.most(who)
    const what = `shard ${this.#shard}: the watermark is ${watermark}`
    if (own.state === 'unread' && own.begun) this.find(`${what}, though a partition is not read`)
    if (own.state === 'running' && watermark > own.least - watermarkDelayMs) {
      this.find(`${what}, its own partitions give ${own.least - watermarkDelayMs}`)
    }
    if (watermark > others) this.find(`${what}, all shards give ${others}`)
    this.#excuse(watermark)
  }

  /** Partitions that have no say as the watermark goes. */
  #excuse(watermark: number): void {
    const { places } = this.#state
    for (const place of places.values()) {
      if (!isExcused(place, this.#now, this.#options.idleAfterMs)) continue
      place.excusedTo = Math.max(place.excusedTo, watermark)
      this.#options.trace.count('watermark without an idle partition')
    }
    // One that the ledger does not know yet has no say either.
    for (const p of this.#options.records.keys()) {
      if (this.#shardOf(p) === this.#shard && !places.has(p)) this.#unborn.set(p, watermark)
    }
  }

  #standing(): Standing {
    const now = this.#now
    const { begun, places } = this.#state
    const all = [...places.values()]
    const read = all.filter((place) => !isExcused(place, now, this.#options.idleAfterMs))
    const newest = all.flatMap((place) => place.newest ?? [])
    const unread = !begun || read.some((place) => place.newest === null)
    const idle = newest.length > 0 ? 'idle' : 'none'
    return {
      state: unread ? 'unread' : read.length > 0 ? 'running' : idle,
      begun,
      least: Math.min(...read.map((place) => place.newest ?? -Infinity)),
      greatest: Math.max(...newest),
      sinceMs: now - Math.max(...all.map(({ dataAt }) => dataAt)),
    }
  }

  #joined(args: Argument[], outcome: number): void {
    const { trace } = this.#options
    trace.count(outcome === 1 ? 'joined' : 'join refused')
    if (outcome !== 1) return
    const state = this.#state
    const closedTo = joinedTo(args)
    if (closedTo < state.joinedTo) {
      this.find(`windows were joined to ${state.joinedTo}, and now to ${closedTo}`)
    }
    state.joinedTo = closedTo
  }

  #advanced(base: string, reply: Argument[]): void {
    const state = this.#state
    const { watermark, closedTo } = this.#ticked(reply)
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
    const ask = (...command: string[]) => this.#servers[this.#shard]!.model.executeBuffer(command)
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
    const now = this.#now
    let bound = Infinity
    let greatest = -Infinity
    let lastData = -Infinity
    for (const [p, place] of this.#state.places) {
      greatest = Math.max(greatest, place.newest ?? -Infinity)
      lastData = Math.max(lastData, place.dataAt)
      if (isExcused(place, now, this.#options.idleAfterMs)) continue
      bound = Math.min(bound, (place.newest ?? -Infinity) - watermarkDelayMs)
      if (place.newest === null) this.find(`the watermark passed unread partition ${p}`)
    }
    if (bound === Infinity) bound = greatest - watermarkDelayMs + now - lastData
    if (watermark > bound)
      this.find(`the watermark is ${watermark}, what is finished gives ${bound}`)
    this.#excuse(watermark)
  }
}

/** The arguments of a join; their order stands in shards.lua. */
function joinedTo(args: Argument[]): number {
  const sinks = Number(args[4 + 6])
  return Number(args[4 + 7 + sinks])
}
