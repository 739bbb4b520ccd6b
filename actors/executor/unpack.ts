/**
 * An LZ4 frame unpacked where scans read it (arena.ts), without a copy in between and without memory that
 * is new each time; in half the time that the library takes. What has more to it than most producers
 * write is left to the library: checksums, a second frame, a block of nothing, more than the arena has room
 * for; and so is what is damaged.
 *
 * Layout: LZ4 frame format 1.6 and LZ4 block format.
 */
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

const MAGIC = 0x184d2204
/** Version 1, and blocks that know of each other or not: no checksums, no size, no dictionary. */
const VERSION = 0x40
const INDEPENDENT = 0x20
const HEADER_BYTES = 7

/** The frame's content, which is the arena's next records; null where the library is to unpack it. */
export function unpackLz4(data: Buffer): Buffer | null {
  const frame = data.length <= RECORDS_BYTES_MAX ? frameOf(data) : null
  if (!frame || !unpacker()) return null
  arena().release()
  arena().bytes.set(data, PACKED)
  let to = RECORDS
  for (let at = HEADER_BYTES; at + 4 <= data.length; ) {
    const word = data.readUInt32LE(at)
    at += 4
    if (word === 0) return at === data.length ? arena().written(to - RECORDS) : null
    const length = word & 0x7fffffff
    if (at + length > data.length || length > frame.blockMax) return null
    const limit = Math.min(to + frame.blockMax, RECORDS + RECORDS_BYTES_MAX)
    const base = frame.isIndependent ? to : RECORDS
    const block = { from: PACKED + at, end: PACKED + at + length, isPacked: word < 0x80000000 }
    const next = unpackBlock(block, to, limit, base)
    if (next <= to) return null
    to = next
    at += length
  }
  return null
}

/** What its header says of its blocks; null where it is not ours. */
function frameOf(data: Buffer): { isIndependent: boolean; blockMax: number } | null {
  if (data.length < HEADER_BYTES || data.readUInt32LE(0) !== MAGIC) return null
  const [flags, descriptor, checksum] = data.subarray(4, HEADER_BYTES) as unknown as [
    number,
    number,
    number,
  ]
  if ((flags & ~INDEPENDENT) !== VERSION) return null
  if (((Bun.hash.xxHash32(data.subarray(4, 6)) >>> 8) & 0xff) !== checksum) return null
  // 4 to 7: 64 KB, 256 KB, 1 MB, 4 MB.
  const size = descriptor >> 4
  if (size < 4 || descriptor !== size << 4) return null
  return { isIndependent: (flags & INDEPENDENT) !== 0, blockMax: 1 << (8 + 2 * size) }
}

interface Block {
  from: number
  end: number
  isPacked: boolean
}

/** Where its content ends; -1 where it is damaged or there is no room. */
function unpackBlock(block: Block, to: number, limit: number, base: number): number {
  const { from, end, isPacked } = block
  if (isPacked) return unpacker()!(from, end, to, limit, base)
  if (to + end - from > limit) return -1
  arena().bytes.copyWithin(to, from, end)
  return to + end - from
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

/** A block from [from, end) to `to`, up to `limit`, by matches from `base` on; answers with its end, or -1. */
type Unpack = (from: number, end: number, to: number, limit: number, base: number) => number

let made: Unpack | null | undefined

/** Made by the first batch; null where the processor is too old for vectors. */
function unpacker(): Unpack | null {
  if (made !== undefined) return made
  const program = moduleOf(localTypes, 5, [block, i32.const(-1)])
  if (!WebAssembly.validate(program)) return (made = null)
  const imports = { m: { m: arena().memory } }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(program), imports)
  return (made = exports['f'] as Unpack)
}
