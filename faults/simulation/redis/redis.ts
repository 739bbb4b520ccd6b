/**
 * A Redis in memory for the simulation: the commands that Millrace uses, on a clock that is given,
 * and Millrace's own Lua functions, run as they are. One command after the other, each at once and
 * whole; nothing in it depends on anything but its commands and the clock.
 *
 * Not as in Redis: HSCAN goes through a large hash in another order; an approximate trim drops whole
 * nodes of 100 entries, whatever their bytes; entries of sets and of tables come in the order of
 * their making; BLOCK does not wait: whoever calls waits for `onStreamWrite` and asks again.
 */
import type { Command } from './commands.ts'
import { Functions } from './functions.ts'
import { groups, growing } from './groups.ts'
import { hashes } from './hashes.ts'
import { Keyspace } from './keyspace.ts'
import { anyKeys, sets, sortedSets, strings } from './plain.ts'
import { integer, OK, type Reply, ReplyError, Status, UnsupportedError } from './reply.ts'
import { streams } from './streams.ts'

export interface RedisModelOptions {
  /** Epoch ms. */
  now: () => number
}

export type Argument = string | number | Buffer

/** A moment of the model; it can be restored any number of times, also in another model. */
export interface Snapshot {
  readonly keyspace: Keyspace
}

const commands = new Map<string, Command>(
  [strings, hashes, sets, sortedSets, anyKeys, streams, groups].flatMap((table) =>
    Object.entries(table),
  ),
)

export class RedisModel {
  /** Memory is out: only what frees memory may go on. */
  outOfMemory = false
  /** After a command that added to streams, with each one's key. */
  onStreamWrite: ((key: string) => void) | undefined
  readonly #now: () => number
  readonly #space = new Keyspace()
  readonly #functions = new Functions((name, args, readOnly) => this.#script(name, args, readOnly))

  constructor(options: RedisModelOptions) {
    this.#now = options.now
  }

  /**
   * Runs a command as ioredis's `call` does: strings in the reply are UTF-8.
   * @throws ReplyError what Redis answers with; UnsupportedError what the model does not know
   */
  execute(args: readonly Argument[]): unknown {
    return decode(this.#run(args.map(bytesOf)), textOf)
  }

  /** The same as ioredis's `callBuffer` does. */
  executeBuffer(args: readonly Argument[]): unknown {
    return decode(this.#run(args.map(bytesOf)), bufferOf)
  }

  /** @param code with its first line, `#!lua name=…` */
  loadFunctions(code: string): string {
    return this.#functions.load(bytesOf(code), true)
  }

  snapshot(): Snapshot {
    return { keyspace: this.#space.copy() }
  }

  /** Keys as they were then; functions stay as they are. */
  restore(snapshot: Snapshot): void {
    this.#space.take(snapshot.keyspace)
  }

  #run(args: string[]): Reply {
    const space = this.#space
    space.now = Math.floor(this.#now())
    try {
      return this.#dispatch(args[0]!.toUpperCase(), args)
    } finally {
      if (space.added.size > 0) this.#announce()
    }
  }

  #announce(): void {
    const added = [...this.#space.added]
    this.#space.added.clear()
    for (const key of added) this.onStreamWrite?.(key)
  }

  #dispatch(name: string, args: string[]): Reply {
    switch (name) {
      case 'FCALL':
      case 'FCALL_RO':
        return this.#functionCall(args)
      case 'EVAL': {
        const keys = integer(args[2]!)
        return this.#functions.script(args[1]!, args.slice(3, 3 + keys), args.slice(3 + keys))
      }
      case 'FUNCTION':
        return this.#functionCommand(args)
      default: {
        const rest = args.slice(1)
        const command = commandOf(name, rest)
        if (this.outOfMemory && grows(name, command, rest)) {
          throw new ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
        }
        return command.run(this.#space, rest)
      }
    }
  }

  #functionCall(args: string[]): Reply {
    const found = this.#functions.find(args[1]!)
    const { flags } = found
    if (this.outOfMemory && !flags.has('allow-oom') && !flags.has('no-writes')) {
      throw new ReplyError(
        "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
      )
    }
    const keys = 3 + integer(args[2]!)
    return this.#functions.run(found, args.slice(3, keys), args.slice(keys))
  }

  #functionCommand([, subcommand, ...rest]: string[]): Reply {
    switch ((subcommand ?? '').toUpperCase()) {
      case 'LOAD': {
        const replace = rest[0]!.toUpperCase() === 'REPLACE'
        return this.#functions.load(rest[replace ? 1 : 0]!, replace)
      }
      case 'FLUSH':
        this.#functions.flush()
        return OK
      default:
        throw new UnsupportedError(`FUNCTION ${subcommand}`)
    }
  }

  #script(given: string, args: string[], readOnly: boolean): Reply {
    const command = commandOf(given, args)
    if (readOnly && command.access !== 'read') {
      throw new ReplyError('ERR Write commands are not allowed from read-only scripts.')
    }
    return command.run(this.#space, args)
  }
}

function commandOf(name: string, args: string[]): Command {
  const command = commands.get(name) ?? commands.get(name.toUpperCase())
  if (!command) throw new UnsupportedError(`the command ${name}`)
  if (args.length < command.least) {
    throw new ReplyError(`ERR wrong number of arguments for '${name.toLowerCase()}' command`)
  }
  return command
}

function grows(name: string, { access }: Command, args: string[]): boolean {
  return access === 'grow' && (name !== 'XGROUP' || growing.has(args[0]!.toUpperCase()))
}

const beyondAscii = /[\u0080-\uffff]/

function bytesOf(value: Argument): string {
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'string') return value.toString('latin1')
  return beyondAscii.test(value) ? Buffer.from(value).toString('latin1') : value
}

const bufferOf = (bytes: string): Buffer => Buffer.from(bytes, 'latin1')
const textOf = (bytes: string): string =>
  beyondAscii.test(bytes) ? bufferOf(bytes).toString() : bytes

function decode(reply: Reply, string: (bytes: string) => string | Buffer): unknown {
  if (typeof reply === 'string') return string(reply)
  if (Array.isArray(reply)) {
    const list: unknown[] = []
    for (const item of reply) list.push(decode(item, string))
    return list
  }
  return reply instanceof Status ? string(reply.text) : reply
}
