/**
 * Redis Functions: libraries of Lua, translated once a source and run against one model. What a
 * function has written stays when it fails. A script of EVAL is a function without a name.
 */
import { general } from './lua/numbers.ts'
import {
  LuaError,
  type LuaFunction,
  LuaTable,
  typeOf,
  type Value,
  type Values,
} from './lua/table.ts'
import { type Chunk, type Globals, translate } from './lua/translate.ts'
import { type Reply, ReplyError, Status } from './reply.ts'

export interface RedisFunction {
  name: string
  library: string
  callback: LuaFunction
  flags: ReadonlySet<string>
}

/** Runs one command of a script. */
export type ScriptCommand = (name: string, args: string[], readOnly: boolean) => Reply

const functionGlobals = ['redis.call', 'redis.pcall', 'redis.register_function']
const scriptGlobals = ['redis.call', 'redis.pcall', 'KEYS', 'ARGV']
const chunks = new Map<string, Chunk>()

/** Made once a source, however many models run it. */
function chunkOf(source: string, globals: readonly string[]): Chunk {
  let chunk = chunks.get(source)
  if (!chunk) {
    chunk = translate(source, globals)
    chunks.set(source, chunk)
  }
  return chunk
}

export class Functions {
  readonly #command: ScriptCommand
  readonly #calls: Globals
  #functions = new Map<string, RedisFunction>()
  #loading = false
  #readOnly = false

  constructor(command: ScriptCommand) {
    this.#command = command
    this.#calls = {
      'redis.call': (name, ...args) => this.#call(name, args),
      'redis.pcall': (name, ...args) => this.#protectedCall(name, args),
    }
  }

  /** @param code with its first line, `#!lua name=…` */
  load(code: string, replace: boolean): string {
    const [head, library] = /^#!lua name=(\w+)[^\n]*\n/.exec(code) ?? []
    if (!head || !library) throw new ReplyError('ERR Missing library metadata')
    const before = this.#functions
    const rest = [...before].filter(([, held]) => held.library !== library)
    if (rest.length < before.size && !replace) {
      throw new ReplyError(`ERR Library '${library}' already exists`)
    }
    this.#functions = new Map(rest)
    this.#loading = true
    try {
      chunkOf(
        code.slice(head.length),
        functionGlobals,
      )({
        ...this.#calls,
        'redis.register_function': (options) => this.#register(library, options),
      })
    } catch (error) {
      this.#functions = before
      throw error
    } finally {
      this.#loading = false
    }
    return library
  }

  flush(): void {
    this.#functions.clear()
  }

  /** @throws ReplyError as Redis says that it has no such function */
  find(name: string): RedisFunction {
    const found = this.#functions.get(name)
    if (found) return found
    throw new ReplyError('ERR Function not found')
  }

  run({ name, callback, flags }: RedisFunction, keys: string[], args: string[]): Reply {
    return this.#running(name, flags.has('no-writes'), () =>
      callback(LuaTable.of(keys), LuaTable.of(args)),
    )
  }

  /** EVAL */
  script(source: string, keys: string[], args: string[]): Reply {
    const globals = { ...this.#calls, KEYS: new LuaTable(keys), ARGV: new LuaTable(args) }
    return this.#running('script', false, () => chunkOf(source, scriptGlobals)(globals))
  }

  #running(name: string, readOnly: boolean, work: () => Values): Reply {
    this.#readOnly = readOnly
    try {
      const values = work()
      return replyOf(Array.isArray(values) ? values[0] : values)
    } catch (error) {
      if (error instanceof ReplyError) throw new ReplyError(`${error.message} script: ${name}`)
      if (!(error instanceof LuaError)) throw error
      throw new ReplyError(`ERR user_function: ${error.message} script: ${name}`, { cause: error })
    }
  }

  #register(library: string, options: Value): Values {
    if (!(options instanceof LuaTable)) throw new LuaError('register_function wants a table')
    const name = options.get('function_name')
    const callback = options.get('callback')
    const flags = options.get('flags')
    if (typeof name !== 'string' || typeof callback !== 'function') {
      throw new LuaError('register_function wants a name and a callback')
    }
    if (this.#functions.has(name)) throw new ReplyError(`ERR Function '${name}' already exists`)
    const list = flags instanceof LuaTable ? flags.list : []
    this.#functions.set(name, { name, library, callback, flags: new Set(list.map(String)) })
    return undefined
  }

  /** @param args become the command's own */
  #call(name: Value, args: Value[]): Value {
    if (this.#loading) throw new LuaError('redis.call while a library is loaded')
    if (name === undefined) throw new LuaError('redis.call without arguments')
    for (let i = 0; i < args.length; i++) {
      if (typeof args[i] !== 'string') args[i] = argumentOf(args[i])
    }
    return valueOf(this.#command(argumentOf(name), args as string[], this.#readOnly))
  }

  #protectedCall(name: Value, args: Value[]): Value {
    try {
      return this.#call(name, args)
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error
      const table = new LuaTable()
      table.set('err', error.message)
      return table
    }
  }
}

function argumentOf(value: Value): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return general(value, 17)
  throw new ReplyError('ERR Lua redis lib command arguments must be strings or integers')
}

function valueOf(reply: Reply): Value {
  if (reply === null) return false
  if (typeof reply !== 'object') return reply
  if (Array.isArray(reply)) {
    // In the list itself, which is nobody else's; mostly of strings, the same on both sides.
    const list: Value[] = reply as Value[]
    for (let i = 0; i < list.length; i++) {
      if (typeof list[i] !== 'string') list[i] = valueOf(reply[i]!)
    }
    return LuaTable.of(list)
  }
  const table = new LuaTable()
  table.set('ok', reply.text)
  return table
}

function replyOf(value: Value): Reply {
  if (value === undefined || value === false) return null
  if (value === true) return 1
  if (typeof value === 'string') return value
  if (typeof value === 'number') return Math.trunc(value)
  if (!(value instanceof LuaTable)) throw new LuaError(`cannot reply a ${typeOf(value)}`)
  const [error, status] = [value.get('err'), value.get('ok')]
  if (typeof error === 'string') throw new ReplyError(error)
  if (typeof status === 'string') return new Status(status)
  const end = value.list.indexOf(undefined)
  return (end < 0 ? value.list : value.list.slice(0, end)).map(replyOf)
}
