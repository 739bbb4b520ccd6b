/**
 * What the new shards hold of what the old ones held: ledgers, clocks, counters, and the baseline of the
 * job's code. Partitions go to their shards; what is of no partition stays, or goes to the heir of a shard
 * that goes. Pure.
 */
import * as v from 'valibot'
import { partitionOf } from '../actors/topics.ts'

export type Fields = Record<string, string>

/** One of the old shards, as it is when nothing happens in it any more. */
export interface HeldShard {
  ledger: Fields
  clock: Fields
  totals: Fields
  /** '' for none. */
  judged: string
}

export interface Held {
  shards: readonly HeldShard[]
  /** The clock of what is joined; of one shard it is its own. */
  joined: Fields
}

/** What a new shard holds; what is empty is not there. */
export interface Layout extends HeldShard {
  /** In the first of several. */
  joined: Fields
}

const HASH_MODULUS = 2n ** 48n

export function layoutsOf(held: Held, count: number): Layout[] {
  return Array.from({ length: count }, (_, shard) => {
    // Itself where it was there before, and those of which it is the heir.
    const own = held.shards.filter((_, old) => old % count === shard)
    return {
      ledger: ledgerOf(held, shard, count),
      clock: clockOf(held, count),
      totals: sumOf(own.map(({ totals }) => totals)),
      judged: judgedOf(held, own, shard, count),
      joined: shard === 0 && count > 1 ? joinedOf(held) : {},
    }
  })
}

/** Fields of partitions are `<number>:<name>`; the others are of the topic and the job. */
const partitionIn = (field: string): number | null => {
  const number = /^(\d+):/.exec(field)?.[1]
  return number === undefined ? null : partitionOf(Number(number))
}

const isOf = (field: string, shard: number, count: number): boolean => {
  const partition = partitionIn(field)
  return partition !== null && partition % count === shard
}

function ledgerOf({ shards }: Held, shard: number, count: number): Fields {
  const [first] = shards as [HeldShard]
  const shared = Object.entries(first.ledger).filter(([field]) => partitionIn(field) === null)
  return Object.fromEntries([...shared, ...partitionsOf(shards, shard, count)])
}

const partitionsOf = (shards: readonly { ledger: Fields }[], shard: number, count: number) =>
  shards
    .flatMap(({ ledger }) => Object.entries(ledger))
    .filter(([field]) => isOf(field, shard, count))

/** The least watermark: where one shard is ahead of the others, the job is not. */
function clockOf(held: Held, count: number): Fields {
  const { shards } = held
  const [first] = shards as [HeldShard]
  if (shards.length === 1 && count === 1) return first.clock
  const watermarks = shards.map(({ clock }) => clock.watermark)
  const known = watermarks.filter((text) => text !== undefined)
  const watermark = known.length === shards.length ? Math.min(...known.map(Number)) : null
  const { closedTo } = first.clock
  return {
    ...(watermark !== null && { watermark: String(watermark) }),
    ...(closedTo !== undefined && { closedTo }),
    // The clock of one shard is that of what is joined as well.
    ...(count === 1 && joinedOf(held)),
  }
}

/** Which windows are closed, and how many have been: sinks go on by it. */
function joinedOf({ joined }: Held): Fields {
  const kept = ['closedTo', 'closedWindows', 'closedMean']
  return Object.fromEntries(Object.entries(joined).filter(([field]) => kept.includes(field)))
}

function sumOf(all: readonly Fields[]): Fields {
  const sums = new Map<string, bigint>()
  for (const [name, text] of all.flatMap(Object.entries) as [string, string][]) {
    // Redis's JSON of a hash has a field without a name (functions/judged.lua).
    if (name === '') continue
    sums.set(name, (sums.get(name) ?? 0n) + BigInt(text))
  }
  const hash = sums.get('hash')
  if (hash !== undefined) sums.set('hash', hash % HASH_MODULUS)
  return Object.fromEntries(Array.from(sums, ([name, sum]) => [name, String(sum)]))
}

/** As functions/judged.lua writes it; an empty list is `{}` in Redis's JSON. */
const list = v.union([
  v.array(v.unknown()),
  v.pipe(
    v.strictObject({}),
    v.transform((): unknown[] => []),
  ),
])
const fields = v.record(v.string(), v.string())
const judgedSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    at: v.string(),
    totals: fields,
    ledger: fields,
    clock: fields,
    panes: list,
    ahead: list,
  }),
)
type Judged = v.InferOutput<typeof judgedSchema>

/** Where the code changed: partitions with their shards, counters and panes with those that hold them. */
function judgedOf({ shards }: Held, own: readonly HeldShard[], shard: number, count: number) {
  const all = shards.flatMap(readJudged)
  if (all.length === 0) return ''
  const kept = own.flatMap(readJudged)
  const [first] = all as [Judged]
  const shared = Object.entries(first.ledger).filter(([field]) => partitionIn(field) === null)
  const ahead = all
    .flatMap((one) => one.ahead)
    .filter((range) => isOf(`${String((range as unknown[])[0])}:`, shard, count))
  // Behind the last of them no pane is missing in any list.
  const closedTo = Math.max(...all.map(({ clock }) => Number(clock.closedTo ?? -Infinity)))
  const panes = [...new Set(kept.flatMap((one) => one.panes))]
  return JSON.stringify({
    at: String(Math.max(...all.map(({ at }) => Number(at)))),
    totals: { '': '', ...sumOf(kept.map(({ totals }) => totals)) },
    ledger: Object.fromEntries([...shared, ...partitionsOf(all, shard, count)]),
    clock: closedTo === -Infinity ? { '': '' } : { '': '', closedTo: String(closedTo) },
    panes,
    ahead,
  } satisfies Judged)
}

const readJudged = ({ judged }: HeldShard): Judged[] =>
  judged === '' ? [] : [v.parse(judgedSchema, judged)]
