/**
 * A world: topic, Redis, supervisors and their children in virtual time, all of it made from a seed.
 * What runs in it is what ships (the actors' own lives: runBridge, runExecutor, runSupervisor); the
 * world gives them clock, chance, network, processes, and takes them away.
 */
import { runBridge } from '../../actors/bridge/run.ts'
import { bounds } from '../../actors/config.ts'
import type { Hand } from '../../actors/executor/hand.ts'
import { runExecutor } from '../../actors/executor/run.ts'
import type { Job } from '../../actors/job.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { partitionOf } from '../../actors/topics.ts'
import { Lifecycle, newActorId } from '../../actors/lifecycle.ts'
import type { Actor } from '../../actors/messages.ts'
import type { Store } from '../../actors/redis.ts'
import type { Exit, Spawn } from '../../supervisor/child.ts'
import { mailboxBlockMs, Pulse } from '../../supervisor/pulse.ts'
import { begin, runSupervisor } from '../../supervisor/run.ts'
import { Supervisor } from '../../supervisor/supervisor.ts'
import type { Chance } from './chance.ts'
import { SimKafka, Topic } from './kafka.ts'
import { Nemesis } from './nemesis.ts'
import { Connection, Lines, nodeOf, storeOn, type Wires } from './network.ts'
import { Process } from './processes.ts'
import { Server } from './server.ts'
import { Time } from './time.ts'
import { Trace } from './trace.ts'
import type { SimPartition } from './kafka.ts'
import type { Snapshot } from './redis/redis.ts'
import { topicNameOf } from './jobs.ts'
import type { WitnessState } from './shard-state.ts'
import type { Witness } from './witness.ts'

export interface WorldOptions {
  job: Job
  chance: Chance
  time: Time
  trace: Trace
  partitions: SimPartition[]
  witness: Witness
  executors: { min: number; max: number }
  supervisors: number
  /** Of the job, and the servers that have them: a cluster's nodes; one of each by default. */
  shards?: number
  nodes?: number
  /** The network's speed one way, in ms. */
  latencyMs: number
}

export class World {
  readonly time: Time
  readonly trace: Trace
  /** Shard k is on the server k modulo their number. */
  readonly servers: readonly Server[]
  readonly topic: Topic
  readonly nemesis: Nemesis
  readonly keys: Keys
  readonly witness: Witness
  readonly job: Job
  readonly limits: { min: number; max: number }
  readonly #options: WorldOptions
  readonly #chance: Chance
  readonly #wires: Wires
  readonly #processes = new Set<Process>()
  readonly #connections = new Map<Process, Connection[]>()
  /** Server → a moment that it can come back to. */
  readonly #saved = new Map<Server, { snapshot: Snapshot; witness: WitnessState }>()
  readonly #comingBack: (() => void)[] = []
  #pids = 100
  /** Supervisors are no longer started anew. */
  #ending = false

  constructor(options: WorldOptions) {
    const { time, trace, chance, witness, job, partitions, latencyMs } = options
    this.#options = options
    this.time = time
    this.trace = trace
    this.witness = witness
    this.job = job
    this.limits = options.executors
    this.#chance = chance.branch()
    const { shards = 1, nodes = 1 } = options
    this.keys = keysOf(job.name, shards)
    this.servers = Array.from({ length: nodes }, () => new Server(time, witness.observe))
    witness.watch(this.keys.shards.map((shard) => this.serverOf(shard)))
    this.topic = new Topic(time, partitions, chance.branch(), (index) => topicNameOf(job, index))
    this.nemesis = new Nemesis(this, chance.branch())
    const wire = chance.branch()
    this.#wires = {
      time,
      trace,
      chance: wire,
      latencyMs: () => latencyMs * (0.5 + wire.next()),
      interfere: this.nemesis.interfere,
    }
  }

  start(): void {
    for (let i = 0; i < this.#options.supervisors; i++) this.#startSupervisor(i * 40)
  }

  living(): Process[] {
    return [...this.#processes]
  }

  /** Where the job's actors, limits and closed windows are. */
  get home(): Server {
    return this.servers[0]!
  }

  serverOf({ shard }: Keys): Server {
    return this.servers[nodeOf(shard, this.servers.length)]!
  }

  /** Whether a partition, by its number, is a shard's. */
  isOf({ shard }: Keys, number: number): boolean {
    return partitionOf(number) % this.keys.shards.length === shard
  }

  #shardsOn(server: Server): number[] {
    const here = this.keys.shards.filter((shard) => this.serverOf(shard) === server)
    return here.map(({ shard }) => shard)
  }

  /** Keeps this moment of a Redis, to come back to. */
  save(server = this.home): void {
    const shards = this.#shardsOn(server)
    // Before the ledger is there a job has nothing to lose.
    if (!shards.every((shard) => this.witness.isBegun(shard))) return
    const witness = this.witness.save(shards)
    this.#saved.set(server, { snapshot: server.model.snapshot(), witness })
    this.trace.say(`redis is saved${this.#nameOf(server)}`)
  }

  restartRedis(server: Server, awayMs: number): void {
    this.#comeBack(server, awayMs, () => {})
  }

  /** Redis dies and comes back as it was when it was saved last. */
  rollBack(server: Server, awayMs: number): void {
    if (!this.#saved.has(server)) return
    this.#comeBack(server, awayMs, () => this.comeBackOlder(server))
  }

  /** As when a replica that was behind takes over, unseen by who says nothing meanwhile. */
  comeBackOlder(server = this.home): void {
    const saved = this.#saved.get(server)
    if (!saved) return
    this.#saved.delete(server)
    this.trace.count('rolled back')
    if (this.servers.length > 1) this.trace.count('one of several rolled back')
    this.trace.say(`redis comes back older${this.#nameOf(server)}`)
    server.model.restore(saved.snapshot)
    this.witness.restore(saved.witness)
  }

  #nameOf(server: Server): string {
    return this.servers.length === 1 ? '' : `: server ${this.servers.indexOf(server)}`
  }

  /** Redis is away for so long, or until the faults end. */
  #comeBack(server: Server, awayMs: number, how: () => void): void {
    server.goDown()
    const back = () => {
      if (server.up) return
      how()
      server.up = true
    }
    this.#comingBack.push(back)
    this.time.after(awayMs, null, back)
  }

  /** All that it says and hears for a while, or what it does with one of several servers. */
  swallow(process: Process, ms: number): void {
    const connections = this.#connections.get(process) ?? []
    const several = this.servers.length > 1 && this.#chance.is(0.5)
    const server = several ? this.#chance.pick(this.servers) : null
    for (const connection of connections) if (connection.leadsTo(server)) connection.swallow(ms)
  }

  /** An operator sets other limits. */
  changeLimits(): void {
    this.limits.max = this.#chance.whole(1, 4)
    this.limits.min = this.#chance.whole(0, Math.min(1, this.limits.max))
    const { min, max } = this.limits
    const { control } = this.keys
    if (this.home.model.outOfMemory) return
    this.home.model.execute(['HSET', control, 'min', String(min), 'max', String(max)])
  }

  /** Faults end: who is stopped goes on, what is away comes back. */
  calm(): void {
    this.nemesis.end()
    for (const back of this.#comingBack) back()
    for (const { model } of this.servers) model.outOfMemory = false
    for (const process of this.living()) process.resume()
  }

  /** Asks the supervisors to end, and all else with them. */
  shutDown(): void {
    this.#ending = true
    for (const process of this.living()) if (process.kind === 'supervisor') process.terminate()
  }

  #start(kind: Actor['kind'], name: string, parent: Process | null): Process {
    const { time, trace } = this
    const onEnd = (process: Process, exit: Exit) => this.#ended(process, exit)
    const world = { time, trace, chance: this.#chance, onEnd }
    const process = new Process(world, kind, name, this.#pids++, parent)
    this.#processes.add(process)
    trace.say(`${name} started`)
    return process
  }

  #ended(process: Process, { code, signal, lastLine }: Exit): void {
    this.#processes.delete(process)
    this.#connections.delete(process)
    this.trace.say(`${process.name} ended: ${code ?? signal}`)
    this.trace.count(`${process.kind} ended by ${code === null ? signal : `code ${code}`}`)
    if (code !== 0 && code !== null) this.witness.find(`${lastLine}\n${process.lastWords}`)
    if (process.kind === 'supervisor' && !this.#ending) {
      this.#startSupervisor(this.#chance.between(50, 500))
    }
  }

  /** To every server, as a cluster's client; or to a shard's alone. */
  #open(process: Process, name: string, blockMs = 0, shard?: Keys): Store {
    const servers = shard ? [this.serverOf(shard)] : this.servers
    const wires = this.#wires
    const opened = servers.map(
      (server) => new Connection(wires, process, server, `${process.name}/${name}`, blockMs),
    )
    const connections = this.#connections.get(process) ?? []
    this.#connections.set(process, [...connections, ...opened])
    return storeOn(opened.length === 1 ? opened[0]! : new Lines(opened, process.chance))
  }

  #startSupervisor(afterMs: number): void {
    const process = this.#start('supervisor', `supervisor-${this.#pids}`, null)
    process.run(afterMs, () => this.#supervise(process))
  }

  async #supervise(process: Process): Promise<void> {
    const { keys } = this
    const { job } = this.#options
    const { clock, host, log } = process
    const store = this.#open(process, 'store')
    const id = process.name
    const life = new Lifecycle({ kind: 'supervisor', id, store, keys, clock, host, log })
    await begin({ store, life, clock, check: () => Promise.resolve() })
    const pulse = new Pulse(clock)
    const supervisor = new Supervisor({
      id,
      job,
      keys,
      store,
      clock,
      log,
      pulse,
      spawn: this.#spawner(process),
      limits: { ...this.limits, policy: 'backlog', maxResultDelayMs: 2_000, given: new Set() },
      executorMemoryMaxBytes: 2 ** 30,
      pricePerHour: 0.05,
      cores: host.cores,
      web: false,
    })
    const mailboxes = keys.shards.map((shard) =>
      this.#open(process, `mailbox-${shard.shard}`, mailboxBlockMs, shard),
    )
    await runSupervisor({ supervisor, life, mailboxes, keys, pulse, clock })
  }

  #spawner(parent: Process): Spawn {
    return (kind) => {
      const id = newActorId(kind, parent.clock)
      const process = this.#start(kind, id, parent)
      const main = kind === 'bridge' ? () => this.#bridge(process) : () => this.#execute(process)
      process.run(this.#chance.between(20, 120), main)
      return process.asChild(parent, id)
    }
  }

  #bridge(process: Process): Promise<void> {
    const { clock, host, log, name } = process
    return runBridge({
      job: this.#options.job,
      keys: this.keys,
      id: name,
      store: this.#open(process, 'store'),
      connect: (shard) => {
        const isItsOwn = (number: number) => this.isOf(shard, number)
        return new SimKafka(this.topic, this.time, process, isItsOwn)
      },
      from: 'earliest',
      address: 'simulated',
      acceptLoss: false,
      fresh: false,
      clock,
      host,
      log,
    })
  }

  #execute(process: Process): Promise<void> {
    const { clock, host, log, name } = process
    return runExecutor({
      job: this.#options.job,
      keys: this.keys,
      id: name,
      writer: this.#open(process, 'writer'),
      readers: this.keys.shards.map((shard) =>
        this.#open(process, `reader-${shard.shard}`, bounds.readBlockMs, shard),
      ),
      clock,
      host,
      log,
      hand: process.hand as unknown as Hand,
    })
  }
}
