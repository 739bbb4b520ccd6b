/**
 * LZ4 frames unpacked where scans read them (arena.ts), without a copy in between and without memory that
 * is new each time; half as long as the library takes. Frames with more to them than most producers
 * write, such as checksums, are the library's, and so are damaged ones.
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

/** The frames' content, which is the arena's next records; null where the library is to unpack it. */
export function unpackLz4(data: Buffer): Buffer | null {
  if (data.length > RECORDS_BYTES_MAX || !unpacker()) return null
  arena().release()
  arena().bytes.set(data, PACKED)
  let to = RECORDS
  for (let at = 0; at < data.length; ) {
    const end = frame(data, at, to)
    if (!end) return null
    at = end.at
    to = end.to
  }
  return arena().written(to - RECORDS)
}

/** One frame, from `at` in the data to `to` in the arena; null where it is not ours, or damaged. */
function frame(data: Buffer, start: number, begin: number): { at: number; to: number } | null {
  if (start + HEADER_BYTES > data.length || data.readUInt32LE(start) !== MAGIC) return null
  const flags = data[start + 4]!
  const descriptor = data.subarray(start + 4, start + 6)
  const checksum = (Bun.hash.xxHash32(descriptor) >>> 8) & 0xff
  if ((flags & ~INDEPENDENT) !== VERSION || data[start + 6] !== checksum) return null
  // 4 to 7: 64 KB, 256 KB, 1 MB, 4 MB.
  const size = data[start + 5]! >> 4
  if (size < 4 || data[start + 5]! !== size << 4) return null
  const blockMax = 1 << (8 + 2 * size)
  let to = begin
  for (let at = start + HEADER_BYTES; at + 4 <= data.length; ) {
    const word = data.readUInt32LE(at)
    at += 4
    if (word === 0) return { at, to }
    const length = word & 0x7fffffff
    if (at + length > data.length || length > blockMax) return null
    const limit = Math.min(to + blockMax, RECORDS + RECORDS_BYTES_MAX)
    if (word >= 0x80000000) {
      if (to + length > limit) return null
      data.copy(arena().bytes, to, at, at + length)
      to += length
    } else {
      const from = PACKED + at
      to = unpacker()!(from, from + length, to, limit, flags & INDEPENDENT ? to : begin)
      if (to < 0) return null
    }
    at += length
  }
  return null
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
