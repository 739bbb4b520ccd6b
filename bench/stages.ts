/**
 * The way of one record through an idle pipeline, stage by stage, as Redis saw it: from the lines of
 * MONITOR, whose times are the server's clock, which is this machine's.
 *
 *   acknowledged → appended → decided → announced → alive → committed
 */
import type { Keys } from '../actors/keys.ts'
import { watchRedis } from './monitor.ts'

/** Named by what has happened when the stage ends. */
export const stageNames = ['appended', 'decided', 'announced', 'alive', 'committed'] as const
export type StageName = (typeof stageNames)[number]

/** When each happened, epoch ms with a fraction; absent where it was not seen. */
export type Stages = Partial<Record<StageName, number>>

/** Watches a Redis that carries nothing but one pipeline. */
export class Watch {
  readonly #keys: Keys
  #stages: Stages = {}
  #executor = ''
  #committed: ((stages: Stages) => void) | null = null
  #close = () => {}
  /** An executor that is warm waits at its mailbox. */
  warm = false

  private constructor(keys: Keys) {
    this.#keys = keys
  }

  static async open(redisUrl: string, keys: Keys): Promise<Watch> {
    const watch = new Watch(keys)
    watch.#close = await watchRedis(redisUrl, (line) => watch.#see(line))
    return watch
  }

  /** Looks for the stages from now on; resolves when the record is committed. */
  arm(): Promise<Stages> {
    this.#stages = {}
    this.#executor = ''
    return new Promise((resolve) => {
      this.#committed = resolve
    })
  }

  close(): void {
    this.#close()
  }

  /** `+1700000000.123456 [0 127.0.0.1:50000] "FCALL" "…_append" "1" …`; `[0 lua]` inside of ours. */
  #see(line: string): void {
    const [, seconds, command, rest] = /^\+(\d+\.\d+) \[[^\]]+\] "(\w+)" ?(.*)$/.exec(line) ?? []
    if (command?.toUpperCase() === 'XREAD' && rest!.includes(':mailbox:executor-')) this.warm = true
    if (!this.#committed || seconds === undefined) return
    const at = Number(seconds) * 1_000
    const { decisions, totals } = this.#keys
    switch (command!.toUpperCase()) {
      case 'FCALL':
        return this.#called(at, rest!)
      case 'XADD':
        if (rest!.startsWith(`"${decisions}"`)) this.#decided(rest!)
        return
      case 'HSET':
        if (rest!.startsWith(`"${totals}" "appended"`)) this.#stages.appended ??= at
        // What the commit function does is told after it has been done.
        if (rest!.startsWith(`"${totals}" "committed"`)) this.#end(at)
        return
      default:
        return
    }
  }

  #end(at: number): void {
    this.#stages.committed = at
    this.warm = false
    this.#committed?.(this.#stages)
    this.#committed = null
  }

  /** The supervisor announces its child first; then the child speaks for itself. */
  #called(at: number, rest: string): void {
    const executor = /^"\w+_beat" "1" "[^"]+" "(executor-\w+)"/.exec(rest)?.[1]
    if (executor === undefined) return
    if (this.#executor === '') {
      this.#executor = executor
      this.#stages.announced = at
    } else if (executor === this.#executor) this.#stages.alive ??= at
  }

  /** Written after the child was started: its own time is what counts. */
  #decided(rest: string): void {
    const at = /\{\\"at\\":(\d+),\\"from\\":0,/.exec(rest)?.[1]
    if (at !== undefined) this.#stages.decided ??= Number(at)
  }
}
