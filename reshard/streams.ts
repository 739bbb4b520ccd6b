/**
 * Streams whose entries belong to a partition each (rejects, verdicts, losses): all of the old shards merged
 * in the order of their ids, which tell when they were written, and dealt out to the new ones.
 */
import type { Keys } from '../actors/keys.ts'
import { shardOf } from '../actors/shards.ts'
import type { Change } from './change.ts'

export const streams = ['rejects', 'verdicts', 'losses'] as const
type StreamName = (typeof streams)[number]

/** Entries of one page, and of one call: each is a few KB at the most. */
const PAGE = 100
const CALL_BYTES = 64 * 1024

type Id = readonly [ms: number, seq: number]
interface Item {
  id: Id
  fields: Buffer[]
}

/** Answers with how many entries there are. */
export async function stageStream(change: Change, name: StreamName): Promise<number> {
  const sources = change.from.shards
  const outs = new Map(change.to.shards.map((shard) => [shard, new Out(change, shard, name)]))
  let entries = 0
  let last: Id = [0, 0]
  for await (const { id, fields } of inOrder(change, sources, name)) {
    // Two shards may have written at the same instant.
    const next: Id = isBehind(id, last) ? id : [last[0], last[1] + 1]
    await outs.get(shardOf(change.to, partitionIn(fields)))!.add(next, fields)
    last = next
    entries++
  }
  const lost = await trimmedIn(change, sources, name)
  for (const out of outs.values()) await out.end(lost)
  return entries
}

const isBehind = (id: Id, other: Id): boolean =>
  id[0] > other[0] || (id[0] === other[0] && id[1] > other[1])

async function* inOrder(
  change: Change,
  sources: readonly Keys[],
  name: StreamName,
): AsyncGenerator<Item, void> {
  const readers = sources.map((shard) => entriesOf(change, shard[name]))
  const heads = await Promise.all(readers.map(async (reader) => (await reader.next()).value))
  for (;;) {
    const least = heads.reduce<Item | undefined>(
      (first, head) => (head && (!first || isBehind(first.id, head.id)) ? head : first),
      undefined,
    )
    if (!least) return
    yield least
    const at = heads.indexOf(least)
    heads[at] = (await readers[at]!.next()).value
  }
}

async function* entriesOf({ store, lease }: Change, key: string): AsyncGenerator<Item, undefined> {
  for (let from = '-'; ; ) {
    await lease.keep()
    const page = await store.redis.xrangeBuffer(key, from, '+', 'COUNT', PAGE)
    for (const [id, fields] of page) {
      const [ms, seq] = id.toString().split('-').map(Number) as [number, number]
      yield { id: [ms, seq], fields }
    }
    const last = page.at(-1)
    if (!last || page.length < PAGE) return undefined
    from = `(${last[0].toString()}`
  }
}

function partitionIn(fields: readonly Buffer[]): number {
  const at = fields.findIndex((field, i) => i % 2 === 0 && field.toString() === 'p')
  return Number(fields[at + 1]?.toString() ?? 0)
}

/** Entries that bounds have taken from the streams: who reads them must go on knowing of it. */
async function trimmedIn(
  { store }: Change,
  sources: readonly Keys[],
  name: StreamName,
): Promise<number> {
  let lost = 0
  for (const shard of sources) {
    if ((await store.redis.exists(shard[name])) === 0) continue
    const info = (await store.redis.xinfo('STREAM', shard[name])) as (string | number)[]
    const of = (field: string) => Number(info[info.indexOf(field) + 1])
    lost += of('entries-added') - of('length')
  }
  return lost
}

/** A new shard's stream, put together in order. */
class Out {
  readonly #change: Change
  readonly #shard: Keys
  readonly #name: StreamName
  #batch: (string | number | Buffer)[] = []
  #bytes = 0
  #entries = 0
  #last: Id = [0, 0]

  constructor(change: Change, shard: Keys, name: StreamName) {
    this.#change = change
    this.#shard = shard
    this.#name = name
  }

  async add(id: Id, fields: Buffer[]): Promise<void> {
    this.#batch.push(id.join('-'), fields.length, ...fields)
    this.#bytes += fields.reduce((sum, { length }) => sum + length, 0)
    this.#entries++
    this.#last = id
    if (this.#bytes >= CALL_BYTES || this.#batch.length >= 2_000) await this.#flush()
  }

  async end(lost: number): Promise<void> {
    await this.#flush()
    if (this.#entries === 0 || lost === 0) return
    const { store, id } = this.#change
    const key = this.#shard.next(id, this.#name)
    const added = String(this.#entries + lost)
    await store.redis.call('XSETID', key, this.#last.join('-'), 'ENTRIESADDED', added)
  }

  async #flush(): Promise<void> {
    if (this.#batch.length === 0) return
    const { store, id, lease } = this.#change
    await lease.keep()
    await store.call('stage', this.#shard.base, [id, this.#name, ...this.#batch])
    this.#batch = []
    this.#bytes = 0
  }
}
