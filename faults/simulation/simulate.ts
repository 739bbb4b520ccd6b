/**
 * One seed: a world is made, things go wrong in it, then nothing more does, and what came of it is
 * compared with what had to come of it.
 *
 *   records appear, faults strike → calm → drained → (all windows closed) → (shut down) → checks
 */
import { bounds } from '../../actors/config.ts'
import type { Job } from '../../actors/job.ts'
import { numberOf } from '../../actors/topics.ts'
import { isRevised } from '../../actors/windows/revisions.ts'
import { Chance } from './chance.ts'
import { finalFindings } from './checks.ts'
import {
  createJobs,
  ofSeveralTopics,
  sessionShapes,
  shapes,
  toldShapes,
  type Waiting,
} from './jobs.ts'
import type { SimPartition } from './kafka.ts'
import { restoreKnobs, turnKnobs } from './knobs.ts'
import { Process } from './processes.ts'
import { type SimRecord, Writer } from './records.ts'
import { withPlainSignals } from './signals.ts'
import { Time } from './time.ts'
import { Trace } from './trace.ts'
import { Witness } from './witness.ts'
import { World } from './world.ts'

export interface SimulateOptions {
  /** Takes each line of the trace. */
  print?: (line: string) => void
}

export interface Outcome {
  seed: number
  findings: string[]
  /** Of the whole trace: two runs of a seed have the same. */
  hash: string
  counts: Map<string, number>
  steps: number
  virtualMs: number
}

/** Virtual time within which everything must be drained once nothing goes wrong any more. */
const DRAIN_MS = 100_000
const SHUTDOWN_MS = 40_000
const STAFF_MS = 40_000
/** Faults go on for so long after the last record. */
const RAGE_MS = 300
const LOOK_MS = 50
const STEPS_MAX = 400_000

const waiting: Waiting = {
  get clock() {
    return now?.current instanceof Process ? now.current.clock : null
  },
}
let now: Time | null = null
let jobs: Job[] | null = null

export function simulate(seed: number, options: SimulateOptions = {}): Outcome {
  jobs ??= createJobs(waiting)
  const chance = new Chance(seed)
  turnKnobs(chance.branch())
  const time = new Time()
  now = time
  const trace = new Trace(time, options.print ?? null)
  const shape = chance.whole(0, shapes.length - 1)
  const plain = jobs[placeOf(seed) ?? shape]!
  const job = seed % TOPICS_EVERY === 1 ? ofSeveralTopics(plain) : plain
  const { shards, nodes } = shardsOf(seed, job, chance)
  // Most bugs need no more than a moment and a few batches; some need leases to run out.
  const brief = chance.is(shards > 1 ? 0.7 : 0.9)
  const spanMs = brief ? chance.whole(150, 500) : chance.whole(500, 4_500)
  const partitions = partitionsOf(chance.branch(), job, { spanMs, brief, shards })
  const witness = witnessOf(job, trace, partitions)
  const max = chance.whole(1, 4)
  const world = new World({
    job,
    chance: chance.branch(),
    time,
    trace,
    partitions,
    witness,
    executors: { min: chance.is(0.2) ? 1 : 0, max },
    supervisors: chance.is(shards > 1 ? 0.4 : 0.2) ? 2 : 1,
    latencyMs: chance.pick([0.1, 0.3, 2]),
    shards,
    nodes,
  })
  trace.count(`world of ${shards} ${shards === 1 ? 'shard' : 'shards'}`)
  trace.say(`${shards} shards on ${nodes} servers, ${partitions.length} partitions`)
  const idlesSoon = bounds.idleAfterMs < 10_000
  const script = { closes: chance.is(0.2) && idlesSoon, shutsDown: chance.is(0.2), spanMs }
  try {
    withPlainSignals(() => new Play(world, script).run(chance.branch()))
  } catch (error) {
    witness.find(`the simulation failed: ${error instanceof Error ? error.stack : String(error)}`)
  } finally {
    restoreKnobs()
    now = null
  }
  const { findings } = witness
  const { counts, hash } = trace
  return { seed, findings, hash, counts, steps: time.steps, virtualMs: time.nowMs }
}

/** One seed in so many plays a job with several topics, of which one may come while it runs. */
const TOPICS_EVERY = 4
/** One seed in so many plays a job with sessions, and one a job whose windows are told more than once. */
const OTHERS_EVERY = 5

/**
 * Jobs that can be divided have several shards in two worlds of three, which are a third of all worlds,
 * on a server each or some of them together.
 */
function shardsOf(seed: number, job: Job, chance: Chance): { shards: number; nodes: number } {
  const isWhole = job.topics !== null || job.gapMs !== null || isRevised(job)
  if (isWhole || Math.floor(seed / OTHERS_EVERY) % 3 === 0) return { shards: 1, nodes: 1 }
  const shards = chance.whole(2, 3)
  return { shards, nodes: chance.is(0.7) ? shards : chance.whole(1, shards) }
}

/** Of its job among all; null for one of the usual ones. */
function placeOf(seed: number): number | null {
  const turn = Math.floor(seed / OTHERS_EVERY)
  if (seed % OTHERS_EVERY === 0) return shapes.length + (turn % sessionShapes.length)
  if (seed % OTHERS_EVERY !== 3) return null
  return shapes.length + sessionShapes.length + (turn % toldShapes.length)
}

interface Script {
  closes: boolean
  shutsDown: boolean
  spanMs: number
}

class Play {
  readonly #world: World
  readonly #script: Script

  constructor(world: World, script: Script) {
    this.#world = world
    this.#script = script
  }

  run(chance: Chance): void {
    const world = this.#world
    const { spanMs, closes, shutsDown } = this.#script
    world.start()
    world.nemesis.plan(spanMs + RAGE_MS)
    for (let i = chance.whole(1, 4) * world.servers.length; i > 0; i--) {
      const server = chance.pick(world.servers)
      world.time.after(chance.between(200, spanMs), null, () => world.save(server))
    }
    this.#pass(spanMs + RAGE_MS)
    world.calm()
    if (!this.#until('everything is drained', DRAIN_MS, () => this.#isDrained())) return
    if (closes && !this.#until('all windows are closed', DRAIN_MS, () => this.#isClosed())) return
    if (
      closes &&
      !this.#until('the family is as it should be', STAFF_MS, () => this.#isStaffed())
    ) {
      return
    }
    if (shutsDown) {
      world.shutDown()
      this.#until('all have ended', SHUTDOWN_MS, () => world.living().length === 0)
    }
    for (const finding of finalFindings(world, closes)) world.witness.find(finding)
  }

  #isDrained(): boolean {
    const { witness, topic, keys } = this.#world
    // Also one without partitions, which would hold the watermark.
    if (!keys.shards.every(({ shard }) => witness.of(shard).begun)) return false
    const ends = topic.partitions.map(({ partition, batches }) => ({
      partition,
      end: batches.at(-1)?.to ?? 0,
    }))
    return witness.hasAll(ends) && this.#eachHas('XLEN', 'entries') && this.#isTold()
  }

  /** Nothing has changed that is not told. */
  #isTold(): boolean {
    const { home, keys } = this.#world
    return home.model.execute(['EXISTS', keys.changed, keys.revise]) === 0
  }

  /** In every shard, and joined where there are several. */
  #isClosed(): boolean {
    const { witness, keys } = this.#world
    const { joinedTo } = witness.state
    const ends = keys.shards.length > 1 ? witness.parts.ends() : []
    return this.#eachHas('HLEN', 'panes') && ends.every((end) => end <= joinedTo)
  }

  /** Nothing, that is. */
  #eachHas(length: string, what: 'entries' | 'panes'): boolean {
    const world = this.#world
    return world.keys.shards.every(
      (shard) => world.serverOf(shard).model.execute([length, shard[what]]) === 0,
    )
  }

  /** C6: executors within their limits, one bridge, nobody whose supervisor is gone. */
  #isStaffed(): boolean {
    const { limits } = this.#world
    const living = this.#world.living()
    const of = (kind: Process['kind']) => living.filter((process) => process.kind === kind).length
    const orphans = living.some(({ parent }) => parent !== null && !parent.alive)
    const executors = of('executor')
    return !orphans && of('bridge') === 1 && executors >= limits.min && executors <= limits.max
  }

  #pass(ms: number): void {
    let passed = false
    const { time } = this.#world
    time.after(ms, null, () => {
      passed = true
    })
    while (!passed && time.steps < STEPS_MAX) time.step()
  }

  /** Runs until the condition holds; a finding where it does not in time. */
  #until(what: string, ms: number, holds: () => boolean): boolean {
    const { time, witness } = this.#world
    const endUs = time.nowUs + ms * 1_000
    while (witness.findings.length === 0) {
      if (holds()) return true
      if (time.nowUs > endUs || time.steps >= STEPS_MAX) {
        witness.find(`waited ${ms} ms of virtual time in vain until ${what}`)
        return false
      }
      this.#pass(LOOK_MS)
    }
    return false
  }
}

interface Extent {
  spanMs: number
  brief: boolean
  shards: number
}

function partitionsOf(chance: Chance, job: Job, { spanMs, brief, shards }: Extent): SimPartition[] {
  // Of several shards one may be without any.
  const count = chance.whole(1, (brief ? 3 : 4) + (shards > 1 ? 2 : 0))
  const grown = chance.is(0.1) ? 1 : 0
  const plan = {
    delayMs: job.watermarkDelayMs,
    hasWork: job.work !== null,
    odd: chance.pick([0, 0.05, 0.2]),
    disorder: chance.pick([0.1, 0.3]),
    late: chance.pick(isRevised(job) ? [0.1, 0.2, 0.4] : [0, 0.05, 0.15]),
    groups: chance.whole(1, 6),
  }
  const batchesMax = (job.work ? 10 : 25) / (brief ? 5 : 1)
  return Array.from({ length: count + grown }, (_, place) => {
    const bornUs = place < count ? 0 : Math.floor((spanMs * 1_000) / 2)
    const partition = job.topics === null ? place : numberOf(place % 2, Math.floor(place / 2))
    const writer = new Writer(partition, plan, chance.branch())
    for (const atUs of appendTimes(chance, bornUs, spanMs * 1_000, Math.ceil(batchesMax))) {
      writer.write(atUs, chance.whole(1, job.work ? 3 : 8))
    }
    return { partition, batches: writer.batches, bornUs }
  })
}

/** When batches come: evenly, all at once, or with a silence after which a partition lives again. */
function appendTimes(chance: Chance, fromUs: number, toUs: number, batchesMax: number): number[] {
  const count = chance.is(0.1) ? 0 : chance.whole(1, batchesMax)
  const silent = chance.is(0.25) ? Math.floor(bounds.idleAfterMs * 1_000 * 1.3) : 0
  const burst = chance.is(0.2)
  const times = Array.from({ length: count }, () => {
    const at = burst ? chance.between(fromUs, fromUs + 50_000) : chance.between(fromUs, toUs)
    return Math.floor(at)
  })
  const reborn = bounds.idleAfterMs < 10_000 && silent > 0
  return times.map((at, i) => (reborn && i % 3 === 0 ? at + silent : at)).sort((a, b) => a - b)
}

function witnessOf(job: Job, trace: Trace, partitions: SimPartition[]): Witness {
  const records = new Map<number, Map<number, SimRecord>>()
  const ends = new Map<number, number>()
  for (const { partition, batches } of partitions) {
    const all = batches.flatMap((batch) => batch.records)
    records.set(partition, new Map(all.map((record) => [record.offset, record])))
    ends.set(partition, batches.at(-1)?.to ?? 0)
  }
  return new Witness({ job, trace, records, ends, idleAfterMs: bounds.idleAfterMs })
}
