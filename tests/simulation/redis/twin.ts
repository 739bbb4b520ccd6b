/**
 * A real Redis and the model side by side. Each command runs in the real one between two looks at its
 * clock; the model's clock is then set to that time, so that ids, leases and idle times must be the
 * same to the millisecond. Where a millisecond ended in between, it may be either one: then the
 * model must agree at one of the two, in its reply and in all that it holds.
 */
import type { RedisCommands } from '../../../actors/redis-connection.ts'
import type { Keys } from '../../../actors/keys.ts'
import { type Argument, RedisModel } from '../../../faults/simulation/redis/redis.ts'

interface Timed {
  from: number
  to: number
  replies: unknown[]
}

/** Streams that are trimmed to about a length, of which Redis may keep less than the model. */
const trimmedRoughly = /:(?:closed|rejects|verdicts|losses|decisions)$/

export class Difference extends Error {
  override readonly name = 'Difference'
}

/** Neither a difference nor none: the command ran in two milliseconds. */
export class Undecided extends Error {
  override readonly name = 'Undecided'
}

export class Twin {
  readonly model: RedisModel
  readonly #redis: RedisCommands
  readonly #keys: Keys
  #nowMs = 0

  constructor(redis: RedisCommands, keys: Keys) {
    this.#redis = redis
    this.#keys = keys
    this.model = new RedisModel({ now: () => this.#nowMs })
  }

  /** @throws Difference */
  async run(command: Argument[]): Promise<unknown> {
    const { from, to, replies } = await this.#timed([command])
    if (from === to) {
      this.#expectSame(command, from, replies[0])
      return replies[0]
    }
    const before = this.model.snapshot()
    let difference: unknown
    for (let at = from; at <= to; at++) {
      this.model.restore(before)
      try {
        this.#expectSame(command, at, replies[0])
        await this.compare()
        return replies[0]
      } catch (error) {
        if (!(error instanceof Difference)) throw error
        difference = error
      }
    }
    // A millisecond ended while the command ran, and it may have looked at its clock twice.
    throw new Undecided('at neither time', { cause: difference })
  }

  /** Compares everything that both hold. @throws Difference */
  async compare(): Promise<void> {
    for (let tries = 0; ; tries++) {
      const looks = this.#looks()
      const { from, to, replies } = await this.#timed(looks)
      if (from !== to && tries < 50) continue
      looks.forEach((look, i) => this.#expectSame(look, to, replies[i]))
      return
    }
  }

  #looks(): Argument[][] {
    const keys: Argument[] = ['KEYS', `${this.#keys.base}:*`]
    const names = this.model.execute(keys) as string[]
    return [keys, ...names.flatMap((name) => this.#looksAt(name))]
  }

  #looksAt(key: string): Argument[][] {
    const type = this.model.execute(['TYPE', key]) as string
    if (type === 'stream') {
      const groups = this.model.execute(['XINFO', 'GROUPS', key]) as string[][]
      const looks = [
        ['XRANGE', key, '-', '+'],
        ['XINFO', 'STREAM', key],
        ['XINFO', 'GROUPS', key],
      ]
      return groups.reduce<Argument[][]>(
        (all, [, group]) => [
          ...all,
          ['XINFO', 'CONSUMERS', key, group!],
          ['XPENDING', key, group!, '-', '+', 1_000],
        ],
        looks,
      )
    }
    return [
      { hash: ['HGETALL', key], string: ['GET', key], set: ['SMEMBERS', key] }[type] ?? [
        'ZRANGE',
        key,
        0,
        -1,
        'WITHSCORES',
      ],
      ['PTTL', key],
    ]
  }

  #expectSame(command: Argument[], at: number, reply: unknown): void {
    const own = this.#modelled(command, at)
    same(command, reply, own)
  }

  #modelled(command: Argument[], at: number): unknown {
    this.#nowMs = at
    try {
      return readable(this.model.executeBuffer(command))
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError') return refusal(error.message)
      throw error
    }
  }

  async #timed(commands: Argument[][]): Promise<Timed> {
    const pipeline = this.#redis.pipeline().call('TIME')
    for (const [name, ...args] of commands) pipeline.callBuffer(String(name), ...args)
    const all = (await pipeline.call('TIME').exec()) ?? []
    const [first, last] = [all[0]!, all.at(-1)!].map(([, time]) => millisOf(time as string[]))
    const replies = all
      .slice(1, -1)
      .map(([error, reply]) => (error ? refusal(error.message) : readable(reply)))
    return { from: first!, to: last!, replies }
  }
}

const millisOf = ([seconds, micros]: string[]): number =>
  Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000)

/** Byte strings, one character a byte. */
function readable(reply: unknown): unknown {
  if (Array.isArray(reply)) return reply.map(readable)
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : reply
}

/** What is refused, and why; where in a script, and with what words of Lua's, may differ. */
function refusal(message: string): { refused: string } {
  const [said] = message.split(' script: ')
  return { refused: said!.startsWith('ERR user_function:') ? 'by Lua' : said! }
}

/** A reply without what Redis leaves open: orders, and how streams are laid out. */
function shape(command: Argument[], reply: unknown): unknown {
  const [name, what] = command.map(String)
  if (name === 'FCALL' && what!.endsWith('_measure') && typeof reply === 'string') {
    return JSON.parse(reply)
  }
  if (!Array.isArray(reply)) return reply
  const list = reply as unknown[]
  switch (name ?? '') {
    case 'FCALL':
      // Which of several partitions that hold the watermark is named depends on the order of a table.
      return what!.endsWith('_advance') ? list.with(3, list[3] === '' ? '' : 'one') : list
    case 'KEYS':
    case 'HKEYS':
    case 'SMEMBERS':
      return list.map(String).sort()
    case 'HGETALL':
      return fieldsOf(list)
    case 'XINFO':
      return what === 'STREAM' ? streamInfo(list, String(command[2])) : list
    default:
      return list
  }
}

function fieldsOf(flat: unknown[]): Record<string, unknown> {
  const pairs = flat.flatMap((field, i) => (i % 2 === 0 ? [[String(field), flat[i + 1]]] : []))
  return Object.fromEntries(pairs) as Record<string, unknown>
}

function streamInfo(list: unknown[], key: string): unknown {
  const rough = ['length', 'first-entry', 'recorded-first-entry-id']
  const open = ['radix-tree-keys', 'radix-tree-nodes', ...(trimmedRoughly.test(key) ? rough : [])]
  return Object.fromEntries(Object.entries(fieldsOf(list)).filter(([name]) => !open.includes(name)))
}

function same(command: Argument[], real: unknown, own: unknown): void {
  let [a, b] = [shape(command, real), shape(command, own)]
  if (command[0] === 'XRANGE' && trimmedRoughly.test(String(command[1]))) [a, b] = common(a, b)
  if (Bun.deepEquals(a, b)) return
  throw new Difference(
    `${show(command)}\n  Redis: ${JSON.stringify(a)}\n  model: ${JSON.stringify(b)}`,
  )
}

/** The newest entries that both have. */
function common(a: unknown, b: unknown): [unknown, unknown] {
  if (!Array.isArray(a) || !Array.isArray(b)) return [a, b]
  const count = Math.min(a.length, b.length)
  return [a.slice(a.length - count), b.slice(b.length - count)]
}

/** A command as one line, its many small arguments cut at the end. */
export function show(command: Argument[]): string {
  const parts = command.map((part) =>
    JSON.stringify(typeof part === 'object' ? part.toString('latin1') : part),
  )
  return parts.length > 60 ? `${parts.slice(0, 60).join(' ')} …` : parts.join(' ')
}
