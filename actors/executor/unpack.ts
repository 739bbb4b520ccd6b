/**
 * An LZ4 frame unpacked where scans read it (arena.ts), without a copy in between and without memory that
 * is new each time; in half the time that the library takes. What has more to it than most producers
 * write is left to the library: checksums, a second frame, a block of nothing, more than the arena has room
 * for; and so is what is damaged.
 *
 * Layout: LZ4 frame format 1.6 and LZ4 block format.
 */
import {
  blockMaxOf,
  checksumOf,
  LZ4_HEADER_BYTES,
  LZ4_INDEPENDENT,
  LZ4_MAGIC,
  LZ4_PLAIN,
  LZ4_VERSION,
} from '../lz4-frame.ts'
import { arena, PACKED, RECORDS, RECORDS_BYTES_MAX } from './arena.ts'
import {
  type Code,
  get,
  i32,
  i64,
  leave,
  moduleOf,
  numbered,
  repeat,
  set,
  v128,
  when,
} from './wasm.ts'

/** The frame's content, which is the arena's next records; null where the library is to unpack it. */
export function unpackLz4(data: Buffer): Buffer | null {
  const frame = data.length <= RECORDS_BYTES_MAX ? frameOf(data) : null
  const unpack = frame && unpacker()
  if (!unpack) return null
  arena().release()
  arena().bytes.set(data, PACKED)
  let to = RECORDS
  for (let at = LZ4_HEADER_BYTES; at + 4 <= data.length; ) {
    const word = data.readUInt32LE(at)
    at += 4
    if (word === 0) return at === data.length ? arena().written(to - RECORDS) : null
    const length = word & ~LZ4_PLAIN
    if (at + length > data.length || length > frame.blockMax) return null
    const [from, end] = [PACKED + at, PACKED + at + length]
    const limit = Math.min(to + frame.blockMax, RECORDS + RECORDS_BYTES_MAX)
    const base = frame.isIndependent ? to : RECORDS
    const next = (word < LZ4_PLAIN ? unpack : copied)(from, end, to, limit, base)
    if (next <= to) return null
    to = next
    at += length
  }
  return null
}

/** What its header says of its blocks; null where it is not ours: no checksums, no size, no dictionary. */
function frameOf(data: Buffer): { isIndependent: boolean; blockMax: number } | null {
  if (data.length < LZ4_HEADER_BYTES || data.readUInt32LE(0) !== LZ4_MAGIC) return null
  const flags = data[4]!
  const descriptor = data[5]!
  if ((flags & ~LZ4_INDEPENDENT) !== LZ4_VERSION) return null
  if ((descriptor & ~0x30) !== 0x40 || data[6] !== checksumOf(flags, descriptor)) return null
  const isIndependent = (flags & LZ4_INDEPENDENT) !== 0
  return { isIndependent, blockMax: blockMaxOf(descriptor) }
}

/**
 * A block from [from, end) to `to`, up to `limit`, by matches from `base` on; answers with where it ends,
 * or -1 where it is damaged or there is no room.
 */
type Unpack = (from: number, end: number, to: number, limit: number, base: number) => number

/** One that was left as it is. */
const copied: Unpack = (from, end, to, limit) => {
  if (to + end - from > limit) return -1
  arena().bytes.copyWithin(to, from, end)
  return to + end - from
}

let made: Unpack | null | undefined

/** Made by the first batch; null where the processor is too old for vectors, which is asked once. */
function unpacker(): Unpack | null {
  if (made === undefined) {
    made = arena().load<Unpack>(moduleOf(localTypes, 5, [block, i32.const(-1)]))
  }
  return made
}

const localTypes = {
  from: 'i32',
  end: 'i32',
  to: 'i32',
  limit: 'i32',
  base: 'i32',
  token: 'i32',
  length: 'i32',
  byte: 'i32',
  distance: 'i32',
  source: 'i32',
  place: 'i32',
  stop: 'i32',
} as const
const local = numbered(localTypes)
const from = get(local.from)
const to = get(local.to)
const length = get(local.length)
const distance = get(local.distance)
const refuse = leave(i32.const(-1))
const move = (which: number, by: Code) => set(which, i32.add(get(which), by))

/** A length that 15 does not end goes on in bytes, up to the first that is not 255. */
const restOfLength = when(i32.eq(length, i32.const(15)), [
  repeat(
    [
      when(i32.geU(from, get(local.end)), refuse),
      set(local.byte, i32.load8(from, 0)),
      move(local.from, i32.const(1)),
      move(local.length, get(local.byte)),
      when(i32.gtU(length, i32.const(RECORDS_BYTES_MAX)), refuse),
    ],
    i32.eq(get(local.byte), i32.const(255)),
  ),
])

/** From `source` to `to`, up to `stop` or some bytes beyond, so many at a time; `to` is there then. */
const copy = (bytes: number, one: (place: Code, source: Code) => Code): Code => [
  set(local.place, to),
  repeat(
    [
      one(get(local.place), get(local.source)),
      move(local.source, i32.const(bytes)),
      move(local.place, i32.const(bytes)),
    ],
    i32.ltU(get(local.place), get(local.stop)),
  ),
  set(local.to, get(local.stop)),
]
const copySixteen = copy(16, (to, from) => v128.store(to, 0, v128.load(from, 0)))
const copyEight = copy(8, (to, from) => i64.store(to, 0, i64.load(from, 0)))
const copyOne = copy(1, (to, from) => i32.store8(to, 0, i32.load8(from, 0)))

const untilStop = [
  set(local.stop, i32.add(to, length)),
  when(i32.gtU(get(local.stop), get(local.limit)), refuse),
]

const literals: Code = [
  set(local.length, i32.shrU(get(local.token), i32.const(4))),
  restOfLength,
  untilStop,
  set(local.source, from),
  move(local.from, length),
  when(i32.gtU(from, get(local.end)), refuse),
  copySixteen,
]

/** As many bytes at a time as lie between the two places at least. */
const match: Code = [
  when(i32.gtU(i32.add(from, i32.const(2)), get(local.end)), refuse),
  set(local.distance, i32.load16(from, 0)),
  move(local.from, i32.const(2)),
  when(i32.eqz(distance), refuse),
  when(i32.gtU(distance, i32.sub(to, get(local.base))), refuse),
  set(local.source, i32.sub(to, distance)),
  set(local.length, i32.and(get(local.token), i32.const(15))),
  restOfLength,
  move(local.length, i32.const(4)),
  untilStop,
  when(
    i32.geU(distance, i32.const(16)),
    copySixteen,
    when(i32.geU(distance, i32.const(8)), copyEight, copyOne),
  ),
]

/** Sequences of a token, literals and a match; the last one ends behind its literals. */
const block: Code = repeat(
  [
    set(local.token, i32.load8(from, 0)),
    move(local.from, i32.const(1)),
    literals,
    when(i32.eq(from, get(local.end)), leave(to)),
    match,
  ],
  i32.ltU(from, get(local.end)),
)
