/**
 * A random sequence of what Millrace asks of Redis, and of what it should never ask: calls of our
 * functions with plausible and implausible arguments, and the plain commands beside them. It looks
 * at the model to find arguments that fit, and never changes it.
 */
import { paneArguments } from '../../../actors/executor/deltas.ts'
import { library } from '../../../actors/redis.ts'
import { GROUP, type Keys } from '../../../actors/keys.ts'
import type { Argument, RedisModel } from '../../../faults/simulation/redis/redis.ts'

export type Command = Argument[]

const ops = 'nhlmM'
const size = 10_000
const slide = 5_000
const executors = ['e1', 'e2', 'e3']
const actors = [...executors, 'b1', 's1']

export class Sequence {
  readonly #model: RedisModel
  readonly #keys: Keys
  readonly #random: () => number
  #steps = 0
  /** Payloads that were set, or might have been. */
  #aside: [partition: number, from: number, to: number] | undefined

  constructor(model: RedisModel, keys: Keys, random: () => number) {
    this.#model = model
    this.#keys = keys
    this.#random = random
  }

  next(): Command {
    // Without these hardly anything can happen.
    if (this.#steps++ === 0) return this.#call('open', 'id', 'shape', 0, 0, 9, 1, 0, 9, 2, 3, 9)
    if (this.#steps === 2) return this.#call('enter', 'e1')
    const steps: [weight: number, step: () => Command][] = [
      [2, () => this.#open()],
      [14, () => this.#append()],
      [3, () => this.#payload()],
      [3, () => this.#call('seen', this.#partition(), this.#int(200))],
      [2, () => this.#lose()],
      [4, () => this.#call('enter', this.#one(executors))],
      [14, () => this.#read()],
      [8, () => this.#call('claim', this.#one(executors), 1 + this.#int(4))],
      [26, () => this.#commit()],
      [9, () => this.#advance()],
      [5, () => this.#call('beat', this.#one(actors), '{"é":1}', this.#one([1, 3, 60_000]))],
      [2, () => this.#call('leave', this.#one(executors), '{}')],
      [2, () => this.#call('bury', this.#one(actors), '{}')],
      [4, () => this.#share()],
      [1, () => this.#call('unshare', this.#one(actors))],
      [4, () => this.#call('mark', this.#one(executors), this.#entryId(), this.#int(50))],
      [
        4,
        () =>
          this.#call(
            'lead',
            this.#one(['leader', 'another']),
            this.#one(actors),
            this.#one([2, 9_999]),
          ),
      ],
      [2, () => this.#resign()],
      [5, () => this.#call('measure')],
      [14, () => this.#plain()],
      [1, () => this.#destructive()],
    ]
    let left = this.#random() * steps.reduce((sum, [weight]) => sum + weight, 0)
    return steps.find(([weight]) => (left -= weight) < 0)![1]()
  }

  // Chance

  #int(below: number): number {
    return Math.floor(this.#random() * below)
  }

  #chance(probability: number): boolean {
    return this.#random() < probability
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#int(list.length)]!
  }

  #times<T>(count: number, make: (i: number) => T): T[] {
    return Array.from({ length: count }, (_, i) => make(i))
  }

  #partition(): number {
    return this.#int(3)
  }

  // What is there

  #call(name: string, ...args: Argument[]): Command {
    return ['FCALL', `${library}_${name}`, 1, this.#keys.base, ...args]
  }

  /** A look at the model; null where the key is of another type. */
  #look(...args: Argument[]): unknown {
    try {
      return this.#model.execute(args)
    } catch {
      return null
    }
  }

  #next(partition: number): number {
    return Number(this.#look('HGET', this.#keys.ledger, `${partition}:next`) ?? 0)
  }

  #pending(): [id: string, consumer: string][] {
    const found = this.#look('XPENDING', this.#keys.entries, GROUP, '-', '+', 20)
    return (found ?? []) as [string, string][]
  }

  #entryId(): string {
    const pending = this.#pending()
    return this.#chance(0.9) && pending.length > 0 ? this.#one(pending)[0] : '12345-0'
  }

  // Functions

  #open(): Command {
    const topic = this.#one(['id', 'id', 'id', 'id', '', 'other'])
    const shape = this.#chance(0.9) ? 'shape' : 'another'
    const partitions = this.#times(1 + this.#int(3), (p) => [p, this.#int(5), this.#int(30)])
    return this.#call('open', topic, shape, ...partitions.flat())
  }

  #share(): Command {
    const reads = this.#one([[], ['*'], [0, 1], [1, 2], [0, 1, 2, 3]])
    return this.#call('share', this.#one(actors), this.#one([2, 9_999]), 0, 1, ...reads)
  }

  #resign(): Command {
    const name = this.#one(['leader', 'another'])
    const holder = this.#look('GET', `${this.#keys.base}:${name}`) as string | null
    return this.#call('resign', name, holder && this.#chance(0.5) ? holder : this.#one(actors))
  }

  /** Mostly of one partition; each is in a call once. */
  #append(): Command {
    const parts = this.#times(this.#chance(0.7) ? 1 : 2 + this.#int(2), () => this.#part())
    const distinct = new Map(parts.map((part) => [part[0], part]))
    return this.#call('append', ...[...distinct.values()].flat())
  }

  #part(): (string | number)[] {
    const p = this.#partition()
    const expected = this.#chance(0.9) ? this.#next(p) : this.#int(20)
    let at = expected
    const entries = this.#times(this.#int(4), () => {
      const from = at
      at += 1 + this.#int(8)
      return [
        from,
        at,
        this.#chance(0.9) ? at - from : this.#int(9),
        this.#one(['x', 'payload', 'é\0']),
      ]
    })
    if (this.#aside?.[0] === p && this.#aside[1] === expected) {
      const [, from, to] = this.#aside
      entries.splice(0, Infinity, [from, to, to - from, ''])
      at = to
    } else if (this.#chance(0.03) && entries[0]) entries[0][3] = ''
    if (entries.length === 0 && this.#chance(0.5)) at += this.#int(4)
    return [p, expected, at, at + this.#int(2), entries.length, ...entries.flat()]
  }

  #payload(): Command {
    const p = this.#partition()
    const from = this.#next(p)
    const to = from + 1 + this.#int(5)
    this.#aside = [p, from, to]
    const expiry = this.#one([2, 60_000])
    return ['SET', this.#keys.payload(p, from, to), Buffer.from([1, 0, 255, 128]), 'PX', expiry]
  }

  #lose(): Command {
    const p = this.#partition()
    const next = this.#next(p)
    return this.#call('lose', p, this.#chance(0.8) ? next : 3, next + this.#int(5), next + 5, 1_000)
  }

  #read(): Command {
    const me = this.#one(executors)
    const { entries, mailbox } = this.#keys
    const options = this.#chance(0.8) ? ['COUNT', 1 + this.#int(4)] : []
    const places = this.#chance(0.3) ? [mailbox(me), entries, '>', '>'] : [entries, this.#after()]
    return ['XREADGROUP', 'GROUP', GROUP, me, ...options, 'STREAMS', ...places]
  }

  #after(): string {
    return this.#chance(0.8) ? '>' : this.#one(['0', this.#entryId()])
  }

  #commit(): Command {
    const pending = this.#pending()
    const me =
      this.#chance(0.9) && pending.length > 0 ? this.#one(pending)[1] : this.#one(executors)
    const mine = pending.filter(([, consumer]) => consumer === me || this.#chance(0.02))
    const wanted = 1 + this.#int(3)
    const slices = mine.slice(0, wanted).map(([id]) => this.#slice(id))
    const panes = this.#times(this.#int(3), () => this.#pane())
    const rejects = this.#times(this.#chance(0.1) ? 40 : this.#int(2), () => [
      this.#partition(),
      this.#int(99),
      'late',
      'why',
      Buffer.from([200, 0, 10]),
    ])
    const verdicts = this.#times(this.#int(2), () => [this.#partition(), 'late', '', '1,2,3'])
    const counters = [10, 1, this.#int(3), rejects.length, 0, this.#int(999), this.#int(2 ** 50)]
    return this.#call(
      'commit',
      me,
      ops,
      size,
      slide,
      this.#closedTo(),
      this.#one([1, 3, 1_000, 1_000, 1_000]),
      this.#one([5, 30]),
      this.#one([5, 30]),
      'topic',
      ...counters,
      slices.length,
      ...slices.flat(),
      panes.length,
      ...panes.flat(),
      rejects.length,
      ...rejects.flat(),
      verdicts.length,
      ...verdicts.flat(),
    )
  }

  #closedTo(): Argument {
    const held = this.#look('HGET', this.#keys.clock, 'closedTo') as string | null
    return this.#chance(0.9) ? (held ?? '') : this.#one(['', 5_000, 900_000])
  }

  #slice(id: string): Argument[] {
    const [entry] = this.#look('XRANGE', this.#keys.entries, id, id) as [string, string[]][]
    const fields = entry?.[1] ?? []
    const field = (name: string) => fields[fields.indexOf(name) + 1] ?? '0'
    const [p, from, to, n, b] = ['p', 'from', 'to', 'n', 'b'].map(field) as [
      string,
      string,
      string,
      string,
      string,
    ]
    const progress = this.#look('HGET', this.#keys.progress, id) as string | null
    const start = this.#chance(0.95) ? Number(progress?.split('|')[0] ?? from) : this.#int(10)
    const done = this.#chance(0.7)
    const end = done ? Number(to) : start + this.#int(Math.max(1, Number(to) - start))
    const max = this.#chance(0.1) ? '' : 1_000 + this.#int(60_000)
    return [id, p, from, to, n, b, start, end, max, Math.max(0, end - start), done ? 1 : 0]
  }

  #pane(): Argument[] {
    const keys = this.#times(1 + this.#int(3), () => `["g${this.#int(12)}","é"]`)
    const isOther = this.#chance(0.08)
    const cells = () => [
      1 + this.#int(5),
      this.#int(9),
      this.#int(2 ** 52),
      this.#random(),
      this.#int(9),
    ]
    const groups = [...new Set(keys)].map((key) => ({
      key,
      cells: Float64Array.from(isOther ? [1] : cells()),
      sketches: [],
    }))
    const closing = this.#look('HGET', this.#keys.clock, 'closing')
    const near = closing !== null && this.#chance(0.5)
    const start = near ? Number(closing) - slide : slide * this.#int(12)
    return paneArguments(start, groups)
  }

  #advance(): Command {
    const delay = this.#one([0, 0, 5_000])
    const idleAfter = this.#one([0, 2, 30_000])
    const budget = this.#one([1, 1, 3, 400])
    const kept = [this.#one([4, 1_000]), this.#one([1, 2 ** 30])]
    return this.#call('advance', ops, size, slide, delay, idleAfter, budget, ...kept)
  }

  // Plain commands

  #plain(): Command {
    const { entries, ledger, totals, clock, control, decisions, closed, panes, leases } = this.#keys
    const { left, leader, bridges, readers, cost, hand, mailbox } = this.#keys
    const me = this.#one(executors)
    const id = this.#entryId()
    const box = mailbox(this.#one([...executors, 'supervisor']))
    const other = this.#one([entries, ledger, bridges, leases, left, `${this.#keys.base}:nothing`])
    const pane = this.#keys.pane(slide * this.#int(12))
    const field = this.#one(['min', 'max', 'paused'])
    return this.#one<Command>([
      ['XPENDING', entries, GROUP],
      ['XPENDING', entries, GROUP, '-', '+', 5, me],
      ['XPENDING', entries, GROUP, id, id, 1],
      ['XPENDING', entries, GROUP, `(${id}`, '+', 3],
      ['XCLAIM', entries, GROUP, me, 0, id, 'JUSTID'],
      ['XCLAIM', entries, GROUP, me, this.#one([0, 2, 9_999]), id, this.#entryId()],
      ['XACK', entries, GROUP, id],
      ['XINFO', 'CONSUMERS', entries, GROUP],
      ['XINFO', 'GROUPS', entries],
      ['XINFO', 'STREAM', entries],
      ['XINFO', 'CONSUMERS', other, GROUP],
      ['XLEN', other],
      ['HGETALL', readers],
      ['XRANGE', entries, '-', '+', 'COUNT', this.#int(4)],
      ['XREVRANGE', entries, '+', id, 'COUNT', 3],
      ['XRANGE', entries, `(${id}`, '+'],
      ['XREAD', 'COUNT', 2, 'STREAMS', entries, box, id, '0'],
      ['XADD', box, '*', 'm', '{"kind":"claim"}'],
      ['XADD', box, 'MAXLEN', 3, '*', 'm', '{}'],
      ['XADD', decisions, 'MAXLEN', '~', 3, '*', 'd', '{}'],
      ['XADD', other, this.#one(['1-1', '0-0', 'x', '*']), 'a', 'b'],
      ['XREADGROUP', 'GROUP', GROUP, me, 'STREAMS', box, '0'],
      ['XREADGROUP', 'GROUP', GROUP, me, 'STREAMS', other, '>'],
      ['XGROUP', 'CREATE', box, GROUP, this.#one(['0', '$']), 'MKSTREAM'],
      ['XGROUP', 'CREATE', other, GROUP, '0'],
      ['XGROUP', 'DELCONSUMER', box, GROUP, me],
      ['XTRIM', box, 'MAXLEN', 2],
      ['HSET', control, field, this.#int(5), 'policy', 'é'],
      ['HSETNX', control, field, this.#int(5)],
      ['HDEL', control, 'policy', field],
      ['HMGET', totals, 'waiting', 'nothing', 'waitingBytes'],
      ['HINCRBY', cost, 'usedMs', this.#one([5, -7, '9223372036854775807'])],
      ['HINCRBY', control, this.#one(['policy', 'max']), 1],
      ['HGET', other, 'min'],
      ['HGETALL', other],
      ['HLEN', panes],
      ['HKEYS', panes],
      ['HEXISTS', ledger, 'topicId'],
      ['HSCAN', pane, 0, 'COUNT', 2],
      ['HSET', clock, 'watermark', this.#int(60_000)],
      ['HDEL', hand, me],
      ['GET', other],
      ['SET', leader, me, 'PX', this.#one([2, 5_000]), 'NX'],
      ['SET', leader, me, 'XX'],
      ['MGET', leader, other, ledger],
      ['STRLEN', other],
      ['PERSIST', leader],
      ['EXISTS', leader, entries, other],
      ['TYPE', other],
      ['ZADD', leases, this.#one([5, '1.5', '-inf', 1e15]), me],
      ['ZREM', leases, me],
      ['ZSCORE', leases, me],
      ['ZRANGE', leases, 0, -1, 'WITHSCORES'],
      ['ZRANGE', leases, -2, 5],
      ['SADD', left, me, 'e9'],
      ['SREM', left, me],
      ['SISMEMBER', left, me],
      ['SCARD', left],
      ['XREVRANGE', closed, '+', '-', 'COUNT', 1],
      ['FCALL', 'no_such_function', 0],
    ])
  }

  /** What takes the ground from under the functions. */
  #destructive(): Command {
    const { entries, ledger, clock, control } = this.#keys
    return this.#one<Command>([
      ['XDEL', entries, this.#entryId()],
      ['HDEL', ledger, `${this.#partition()}:high`],
      ['DEL', control, clock],
      ['XGROUP', 'DELCONSUMER', entries, GROUP, this.#one(executors)],
      ['XGROUP', 'DESTROY', entries, GROUP],
      ['DEL', entries],
      ['UNLINK', ledger],
      ['SET', control, 'a string'],
    ])
  }
}
