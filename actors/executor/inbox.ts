/**
 * What comes to an executor: entries of the stream and messages of its mailbox, in one blocking
 * call; entries of executors that died or left; its own entries whose reply was lost.
 */
import * as v from 'valibot'
import { bounds } from '../config.ts'
import { GROUP, type Keys } from '../keys.ts'
import { type Message, messageSchema } from '../messages.ts'
import type { Store } from '../redis.ts'
import { knownTopic, topicField } from '../topics.ts'

/** An entry in an executor's hands. */
export interface Entry {
  id: string
  topic: string
  /** Its number (topics.ts). */
  partition: number
  from: number
  to: number
  /** Records by the batch headers. */
  announced: number
  bytes: number
  payload: Buffer
  /** Where the next slice begins: past what is committed. */
  cursor: number
  /** How often an executor died with it. */
  crashes: number
  /** Records that were in hand at those deaths: offset → at how many. */
  suspects: ReadonlyMap<number, number>
  /** Records whose `work` did not settle in our hands. */
  hung?: Set<number>
}

/** An executor holds far fewer entries. */
const OWN_MAX = 1_000

type StreamReply = [Buffer, [Buffer, Buffer[]][]][] | null

export class Inbox {
  readonly #reader: Store
  readonly #writer: Store
  readonly #keys: Keys
  readonly #me: string
  /** Of entries that do not name their topic. */
  #topic: string

  constructor(reader: Store, writer: Store, keys: Keys, me: string, topic: string) {
    this.#reader = reader
    this.#writer = writer
    this.#keys = keys
    this.#me = me
    this.#topic = topic
  }

  /**
   * Learns which topic entries are of that do not name it: they were appended when the job had one. False
   * where that is not to be told yet, because no bridge has begun with the several that it has now.
   */
  async findTopic(isOfSeveral: boolean): Promise<boolean> {
    const { ledger } = this.#keys
    const [begun, first] = await this.#writer.redis.hmget(ledger, 'topicId', topicField(0))
    if (first) this.#topic = knownTopic(first).name
    return Boolean(first) || !isOfSeveral || begun === null
  }

  /** Makes the mailbox's group and the entries' group where they are missing. */
  async open(): Promise<void> {
    await this.#writer.call('enter', this.#keys.base, [this.#me])
  }

  /** New entries, not yet `filled`, and messages; waits up to `blockMs` for the first. */
  async read(count: number, blockMs: number): Promise<{ entries: Entry[]; messages: Message[] }> {
    const { entries } = this.#keys
    const mailbox = this.#keys.mailbox(this.#me)
    const reply = (await this.#reader.redis.callBuffer(
      'XREADGROUP',
      'GROUP',
      GROUP,
      this.#me,
      'COUNT',
      count,
      'BLOCK',
      blockMs,
      'STREAMS',
      entries,
      mailbox,
      '>',
      '>',
    )) as StreamReply
    const read: { entries: Entry[]; messages: Message[] } = { entries: [], messages: [] }
    for (const [stream, items] of reply ?? []) {
      if (stream.toString() === entries) {
        read.entries = items.map(([id, fields]) => this.#entryOf(id, fields))
      } else {
        read.messages = this.#takeMessages(items)
      }
    }
    return read
  }

  /** Entries that Redis counts as ours and that we do not hold: they never reached us. */
  async own(held: ReadonlySet<string>): Promise<Entry[]> {
    const { entries, progress, crashes, suspects } = this.#keys
    const { redis } = this.#writer
    const pending = await redis.xpending(entries, GROUP, '-', '+', OWN_MAX, this.#me)
    const missed = new Set((pending as [string][]).map(([id]) => id).filter((id) => !held.has(id)))
    if (missed.size === 0) return []
    const reply = (await redis.callBuffer(
      ...(['XREADGROUP', 'GROUP', GROUP, this.#me, 'COUNT', OWN_MAX] as const),
      ...(['STREAMS', entries, '0'] as const),
    )) as StreamReply
    const found = (reply?.[0]?.[1] ?? [])
      // An entry that was deleted while pending has no fields.
      .filter(([id, fields]) => fields?.length > 0 && missed.has(id.toString()))
      .map(([id, fields]) => this.#entryOf(id, fields))
    if (found.length === 0) return []
    const ids = found.map(({ id }) => id)
    const [parts, deaths, marks] = await Promise.all(
      [progress, crashes, suspects].map((key) => redis.hmget(key, ...ids)),
    )
    return this.filled(
      found.map((entry, i) => ({
        ...entry,
        cursor: cursorOf(entry, parts![i] ?? ''),
        crashes: Number(deaths![i] ?? 0),
        suspects: suspectsOf(marks![i] ?? ''),
      })),
    )
  }

  /** Takes over entries that no living executor holds. */
  async claim(): Promise<Entry[]> {
    const reply = (await this.#writer.callBuffer('claim', this.#keys.base, [
      this.#me,
      bounds.readAheadEntriesMax,
    ])) as [Buffer, Buffer[], Buffer, number, Buffer][]
    const entries = reply.map(([id, fields, progress, crashes, suspects]) => {
      const entry = this.#entryOf(id, fields)
      return {
        ...entry,
        cursor: cursorOf(entry, progress.toString()),
        crashes,
        suspects: suspectsOf(suspects.toString()),
      }
    })
    return this.filled(entries)
  }

  /**
   * Fetches the payloads that lie beside the stream. One that is gone went with its entry, which
   * another executor has finished meanwhile.
   */
  async filled(entries: Entry[]): Promise<Entry[]> {
    const large = entries.filter(({ payload }) => payload.length === 0)
    if (large.length === 0) return entries
    const names = large.map(({ partition, from, to }) => this.#keys.payload(partition, from, to))
    const payloads = await this.#writer.redis.mgetBuffer(...names)
    for (const [i, entry] of large.entries()) {
      const payload = payloads[i]
      if (payload) entry.payload = payload
      else await this.#assertGone(entry)
    }
    return entries.filter(({ payload }) => payload.length > 0)
  }

  /** An entry that is still ours but has no payload would stay for ever: that must not pass. */
  async #assertGone(entry: Entry): Promise<void> {
    const { entries } = this.#keys
    const pending = await this.#writer.redis.xpending(
      entries,
      GROUP,
      entry.id,
      entry.id,
      1,
      this.#me,
    )
    if (pending.length > 0) {
      throw new Error(`entry ${entry.id} (offset ${entry.from} on) has lost its payload in Redis`)
    }
  }

  /** Wakes our own blocked read, so that it ends without its connection being cut. */
  async wake(): Promise<void> {
    await this.#writer.redis.xadd(this.#keys.mailbox(this.#me), '*', 'm', '{"kind":"claim"}')
  }

  #entryOf(id: Buffer, fields: Buffer[]): Entry {
    return entryOf(id, fields, this.#topic)
  }

  #takeMessages(items: [Buffer, Buffer[]][]): Message[] {
    const mailbox = this.#keys.mailbox(this.#me)
    const ids = items.map(([id]) => id.toString())
    // Only tidying up: a message counts from here on, and the mailbox goes with its actor.
    this.#writer.redis.xack(mailbox, GROUP, ...ids).catch(() => 0)
    this.#writer.redis.xdel(mailbox, ...ids).catch(() => 0)
    return items.flatMap(([, fields]) => {
      const text = fields[1]?.toString() ?? ''
      const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), messageSchema), text)
      // A message of a newer version is none of ours.
      return parsed.success ? [parsed.output] : []
    })
  }
}

function entryOf(id: Buffer, fields: Buffer[], topic: string): Entry {
  const of = new Map<string, Buffer>()
  for (let i = 0; i < fields.length; i += 2) of.set(fields[i]!.toString(), fields[i + 1]!)
  const number = (name: string) => Number(of.get(name))
  return {
    id: id.toString(),
    topic: of.get('t')?.toString() ?? topic,
    partition: number('p'),
    from: number('from'),
    to: number('to'),
    announced: number('n'),
    bytes: number('b'),
    payload: of.get('d') ?? Buffer.alloc(0),
    cursor: number('from'),
    crashes: 0,
    suspects: noSuspects,
  }
}

const cursorOf = (entry: Entry, progress: string): number =>
  progress === '' ? entry.from : Number(progress.split('|')[0])

const noSuspects: Entry['suspects'] = new Map()

/** `offset|deaths`, separated by commas. */
function suspectsOf(text: string): Entry['suspects'] {
  if (text === '') return noSuspects
  return new Map(text.split(',').map((one) => one.split('|').map(Number) as [number, number]))
}
