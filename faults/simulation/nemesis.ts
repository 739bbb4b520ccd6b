/**
 * The nemesis: what goes wrong in a world, and when. Some of it by the hour, some of it exactly when
 * a process does one certain thing for the n-th time: between any two steps is where bugs live.
 */
import type { Chance } from './chance.ts'
import type { Interference } from './network.ts'
import type { Process } from './processes.ts'
import type { Argument, Server } from './server.ts'
import type { World } from './world.ts'

/** Commands at which something can happen; the rest are too many. */
const steps =
  'commit commit commit append append advance claim open seen beat leave lead mark bury measure XREADGROUP XPENDING XADD HMGET MGET SET'.split(
    ' ',
  )

/** The same where there are several shards. */
const jointSteps = ['standing', 'parts', 'parts', 'raise', 'raise', 'join', 'join']

const interferences = ['cut before', 'cut after', 'cut after', 'die before', 'die after'] as const

export interface Trap {
  step: string
  /** Of a process of this kind only. */
  kind?: Process['kind']
  /** How often the step still passes unharmed. */
  left: number
  interference: Interference | 'stop' | 'hole'
}

export class Nemesis {
  readonly #world: World
  readonly #chance: Chance
  #traps: Trap[] = []
  #over = false

  constructor(world: World, chance: Chance) {
    this.#world = world
    this.#chance = chance
  }

  /** Chooses what happens within the first `spanMs`. */
  plan(spanMs: number): void {
    const chance = this.#chance
    const faults = chance.is(0.04) ? 0 : chance.whole(1, 7)
    if (this.#world.keys.shards.length > 1 && chance.is(0.3)) this.setTrap(this.#slowLeader())
    for (let i = 0; i < faults; i++) {
      if (chance.is(0.55)) this.setTrap(this.#chooseTrap())
      else this.#schedule(chance.between(100, spanMs))
    }
  }

  /** Nothing more happens. */
  end(): void {
    this.#over = true
    this.#traps = []
  }

  /** Asked before each command; a trap that it springs is gone. */
  readonly interfere = (process: Process, args: Argument[]): Interference => {
    if (this.#traps.length === 0) return 'none'
    const name = stepOf(args)
    for (const [i, trap] of this.#traps.entries()) {
      if (trap.step !== name || (trap.kind ?? process.kind) !== process.kind) continue
      if (trap.left-- > 0) continue
      this.#traps.splice(i, 1)
      return this.#spring(trap, process, name)
    }
    return 'none'
  }

  #spring({ interference }: Trap, process: Process, name: string): Interference {
    const world = this.#world
    world.trace.count(`fault: ${interference}`)
    world.trace.say(`fault: ${interference} at ${name} of ${process.name}`)
    if (interference === 'stop') this.#stop(process)
    else if (interference === 'hole') world.swallow(process, this.#chance.between(500, 8_000))
    else return interference
    return 'none'
  }

  setTrap(trap: Trap): void {
    this.#traps.push(trap)
  }

  /** It has read what it is to join, and another may join it before it goes on. */
  #slowLeader(): Trap {
    const left = this.#chance.whole(0, 30)
    return { step: 'parts', kind: 'supervisor', left, interference: 'stop' }
  }

  get #steps(): readonly string[] {
    return this.#world.keys.shards.length > 1 ? [...steps, ...jointSteps] : steps
  }

  #chooseTrap(): Trap {
    const chance = this.#chance
    const interference = chance.is(0.25) ? chance.pick(['stop', 'hole'] as const) : null
    return {
      step: chance.pick(this.#steps),
      left: Math.floor(chance.next() ** 2 * 12),
      interference: interference ?? chance.pick(interferences),
    }
  }

  #schedule(atMs: number): void {
    const name = this.#chance.pick(faultNames)
    this.#world.time.after(atMs, null, () => {
      if (this.#over) return
      this.#world.trace.count(`fault: ${name}`)
      this.#world.trace.say(`fault: ${name}`)
      this.#strike(name)
    })
  }

  #strike(name: (typeof faultNames)[number]): void {
    const world = this.#world
    const chance = this.#chance
    switch (name) {
      case 'kill bridge':
        return this.#one('bridge')?.kill()
      case 'kill executor':
        return this.#one('executor')?.kill()
      case 'kill supervisor':
        return this.#one('supervisor')?.kill()
      case 'kill everything':
        for (const process of world.living()) process.kill()
        return
      case 'stop bridge':
        return this.#stop(this.#one('bridge'))
      case 'stop executor':
        return this.#stop(this.#one('executor'))
      case 'stop supervisor':
        return this.#stop(this.#one('supervisor'))
      case 'terminate one':
        return this.#one(chance.pick(['bridge', 'executor'] as const))?.terminate()
      case 'kill clients':
        return this.#server().killClients()
      case 'restart redis':
        return world.restartRedis(this.#server(), chance.between(20, 1_500))
      case 'roll redis back':
        return world.rollBack(this.#server(), chance.between(20, 800))
      case 'fail over to an older redis':
        return world.comeBackOlder(this.#server())
      case 'flush functions':
        this.#server().model.execute(['FUNCTION', 'FLUSH'])
        return
      case 'out of memory': {
        const { model } = this.#server()
        model.outOfMemory = true
        world.time.after(chance.between(200, 2_500), null, () => {
          model.outOfMemory = false
        })
        return
      }
      case 'slow redis':
        return this.#server().pause(chance.between(50, 6_500))
      case 'redis clock':
        this.#server().skewMs += chance.whole(-4_000, 4_000)
        return
      case 'clock step': {
        const process = chance.pick(world.living())
        if (process) process.skewMs += chance.whole(-120_000, 120_000)
        return
      }
      case 'kafka away':
        world.topic.mute = chance.is(0.3)
        world.topic.awayUntilUs = world.time.nowUs + chance.whole(100, 3_000) * 1_000
        return
      case 'leaders change':
        world.topic.leaderEpoch++
        return
      case 'limits change':
        return world.changeLimits()
      case 'hole': {
        const process = chance.pick(world.living())
        if (process) world.swallow(process, chance.between(300, 7_000))
        return
      }
      default:
        name satisfies never
    }
  }

  /** What happens to one server of a cluster does not happen to the others. */
  #server(): Server {
    const { servers } = this.#world
    return servers.length === 1 ? servers[0]! : this.#chance.pick(servers)
  }

  #one(kind: Process['kind']): Process | undefined {
    return this.#chance.pick(this.#world.living().filter((process) => process.kind === kind))
  }

  /** Stopped for a moment, or until its lease is another's. */
  #stop(process: Process | undefined): void {
    if (!process) return
    process.stop()
    const ms = this.#chance.is(0.5)
      ? this.#chance.between(50, 1_500)
      : this.#chance.between(2_500, 7_000)
    this.#world.time.after(ms, null, () => process.resume())
  }
}

const faultNames = [
  'kill bridge',
  'kill executor',
  'kill executor',
  'kill supervisor',
  'kill everything',
  'stop bridge',
  'stop executor',
  'stop executor',
  'stop supervisor',
  'terminate one',
  'kill clients',
  'restart redis',
  'roll redis back',
  'roll redis back',
  'fail over to an older redis',
  'flush functions',
  'out of memory',
  'slow redis',
  'redis clock',
  'clock step',
  'kafka away',
  'leaders change',
  'limits change',
  'hole',
] as const

/** What a command is called in a trap: our function's name, or Redis's. */
function stepOf(args: Argument[]): string {
  const name = String(args[0])
  if (name !== 'FCALL') return name
  const called = String(args[1])
  return called.slice(called.lastIndexOf('_') + 1)
}
