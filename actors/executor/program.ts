/**
 * The program that reads records of one layout: WebAssembly, because its vectors find the end of a string,
 * and its 64-bit words the end of a number, in a few instructions however long it is. Byte by byte, a
 * processor guesses wrongly at each of these ends, and that took more than half of the time.
 *
 *   program(start, end) → 0, or what was found in the arena (arena.ts), as a sum of `flags`
 *
 * It refuses a record whose fixed parts, or whose values' types, are others; and a string with an escape
 * or a control character, or a number that is none of JSON's. It may read over the record's end, but says
 * yes only where it came to it exactly.
 */
import {
  FIELD_BYTES,
  found,
  KNOWN,
  KNOWN_BITS,
  KNOWN_BYTES,
  POWERS,
  RECORDS,
  WHOLE_POWERS,
} from './arena.ts'
import {
  type Code,
  f64,
  get,
  i32,
  i64,
  i64x2,
  i8x16,
  leave,
  moduleOf,
  numbered,
  repeat,
  set,
  v128,
  when,
} from './wasm.ts'

export type ValueType = 'string' | 'number' | 'boolean' | 'null'

/** A field: the bytes before its value, and what may stand there. */
export interface Part {
  before: Buffer
  types: ReadonlySet<ValueType>
  /** Which of the arena's fields its value goes into; null for one that is passed over. */
  into: number | null
}

/**
 * `wide`: there are bytes beyond ASCII, which must be UTF-8 then. `left`: fields are left for the arena to
 * settle.
 */
export const flags = { yes: 1, wide: 2, left: 4 } as const

/** The module; its function is `f`, its memory `m.m`. */
export function programOf(parts: readonly Part[], after: Buffer): Buffer<ArrayBuffer> {
  return moduleOf(localTypes, 2, [
    set(local.flags, i32.const(flags.yes)),
    parts.map(partCode),
    fixedCode(after),
    when(i32.ne(at, get(local.end)), refuse),
    get(local.flags),
  ])
}

/** The first two are its parameters; `at` is where it is. */
const localTypes = {
  at: 'i32',
  end: 'i32',
  flags: 'i32',
  byte: 'i32',
  from: 'i32',
  length: 'i32',
  digits: 'i32',
  places: 'i32',
  negative: 'i32',
  ends: 'i32',
  eight: 'i64',
  sum: 'i64',
  whole: 'i64',
  low: 'v128',
  high: 'v128',
  lengths: 'v128',
} as const
const local = numbered(localTypes)

const at = get(local.at)
const refuse = leave(i32.const(0))
const advance = (by: Code) => set(local.at, i32.add(at, by))
const raise = (flag: number) => set(local.flags, i32.or(get(local.flags), i32.const(flag)))
const takeByte = set(local.byte, i32.load8(at, RECORDS))
const isByte = (byte: number) => i32.eq(get(local.byte), i32.const(byte))
/** Into the arena's field: `found` at 0, and what belongs to it. */
const put = (field: number, offset: number, value: Code) =>
  i32.store(i32.const(field * FIELD_BYTES), offset, value)

function partCode({ before, types, into }: Part): Code {
  // A value that can only be a string begins with a byte that is fixed, too.
  if (types.size === 1 && types.has('string')) {
    return [fixedCode(Buffer.concat([before, Buffer.from('"')])), stringCode(into)]
  }
  return [fixedCode(before), valueCode(types, into)]
}

/** Bytes that stand in every record of the layout, eight at a time; the last eight may overlap. */
function fixedCode(bytes: Buffer): Code {
  const padded = Buffer.concat([bytes, Buffer.alloc(8)])
  let differs = i64.const(0n)
  for (let i = 0; i < bytes.length; i += 8) {
    const from = Math.max(Math.min(i, bytes.length - 8), 0)
    const mask = (1n << BigInt(8 * Math.min(bytes.length, 8))) - 1n
    const other = i64.xor(i64.load(at, RECORDS + from), i64.const(padded.readBigInt64LE(from)))
    differs = i64.or(differs, i64.and(other, i64.const(mask)))
  }
  return [when(i64.ne(differs, i64.const(0n)), refuse), advance(i32.const(bytes.length))]
}

/** What a value begins with decides what it is. */
function valueCode(types: ReadonlySet<ValueType>, into: number | null): Code {
  const isDigit = i32.ltU(i32.sub(get(local.byte), i32.const(48)), i32.const(10))
  const cases: [ValueType, Code, () => Code][] = [
    ['string', isByte(34), () => [advance(i32.const(1)), stringCode(into)]],
    ['null', isByte(110), () => wordCode('null', into)],
    ['number', i32.or(isDigit, isByte(45)), () => numberCode(into)],
    ['boolean', isByte(116), () => wordCode('true', into)],
    ['boolean', isByte(102), () => wordCode('false', into)],
  ]
  const chain = cases
    .filter(([type]) => types.has(type))
    .reduceRight<Code>((rest, [, is, code]) => when(is, code(), rest), refuse)
  return [takeByte, chain]
}

const wordCode = (word: 'null' | 'true' | 'false', into: number | null): Code => [
  fixedCode(Buffer.from(word)),
  into === null ? [] : put(into, 0, i32.const(found[word])),
]

/** A bit for each of 16 bytes that ends a plain string: quote, backslash, what is below 32 as a signed byte. */
const endsOf = (bytes: Code): Code =>
  i8x16.bitmask(
    v128.or(
      v128.or(i8x16.eq(bytes, everyByte(34)), i8x16.eq(bytes, everyByte(92))),
      i8x16.ltS(bytes, everyByte(32)),
    ),
  )
const everyByte = (byte: number) => i8x16.const(Array.from({ length: 16 }, () => byte))
const countedFrom = (first: number) => i8x16.const(Array.from({ length: 16 }, (_, i) => first + i))

/** How many of the next 32 bytes come before a plain string's end. */
const look: Code = [
  set(local.low, v128.load(at, RECORDS)),
  set(local.high, v128.load(at, RECORDS + 16)),
  set(local.ends, i32.or(endsOf(get(local.low)), i32.shl(endsOf(get(local.high)), i32.const(16)))),
  set(local.length, i32.ctz(get(local.ends))),
]

/** To behind the closing quote; over bytes beyond ASCII too. */
const pass: Code = [
  repeat(
    [
      look,
      advance(get(local.length)),
      takeByte,
      when(i32.geU(get(local.byte), i32.const(128)), [raise(flags.wide), advance(i32.const(1))]),
    ],
    i32.or(i32.eqz(get(local.ends)), i32.geU(get(local.byte), i32.const(128))),
  ),
  when(isByte(34), advance(i32.const(1)), refuse),
]

/** From behind the opening quote. A plain one of up to 31 bytes is looked up among the known ones. */
function stringCode(into: number | null): Code {
  if (into === null) return pass
  const text = (slot: Code, to: Code) => [
    put(into, 0, i32.const(found.text)),
    put(into, 4, get(local.from)),
    put(into, 8, to),
    put(into, 12, slot),
    raise(flags.left),
  ]
  const closing = i32.load8(i32.add(at, get(local.length)), RECORDS)
  const slot = get(local.ends)
  return [
    set(local.from, at),
    look,
    when(
      i32.and(i32.ne(get(local.ends), i32.const(0)), i32.eq(closing, i32.const(34))),
      [
        advance(get(local.length)),
        cut,
        set(local.ends, i32.wrap(i64.shrU(hash, i64.const(BigInt(64 - KNOWN_BITS))))),
        when(isOther(i32.shl(slot, i32.const(Math.log2(KNOWN_BYTES)))), text(slot, at), [
          put(into, 0, i32.const(found.known)),
          put(into, 4, slot),
        ]),
        advance(i32.const(1)),
      ],
      [pass, text(i32.const(-1), i32.sub(at, i32.const(1)))],
    ),
  ]
}

/** Makes zeros of what is behind the string. */
const cut: Code = [
  set(local.lengths, i8x16.splat(get(local.length))),
  set(local.low, v128.and(get(local.low), i8x16.ltU(countedFrom(0), get(local.lengths)))),
  set(local.high, v128.and(get(local.high), i8x16.ltU(countedFrom(16), get(local.lengths)))),
]

/** The 32 bytes as a sum of their four words, each times an odd number; the upper bits depend on all. */
const hash: Code = [
  0x9e3779b97f4a7c15n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0xd6e8feb86659fd93n,
]
  .map((factor, i) => {
    const half = get(i < 2 ? local.low : local.high)
    return i64.mul(i64x2.lane(half, i % 2), i64.const(factor))
  })
  .reduce((sum, product) => i64.add(sum, product))

const isOther = (place: Code): Code =>
  v128.anyTrue(
    v128.or(
      v128.xor(get(local.low), v128.load(place, KNOWN)),
      v128.xor(get(local.high), v128.load(place, KNOWN + 16)),
    ),
  )

/**
 * JSON's grammar of numbers. Up to 18 digits are gathered in an int64; below 2⁵³ they become a double by
 * one division by a power of ten up to 10²², both of which are exact, so that it is rounded once, as
 * reading the decimal itself would be (Clinger, "How to read floating point numbers accurately", 1990).
 * Others are left.
 */
function numberCode(into: number | null): Code {
  const reads = into !== null
  const some = when(i32.eqz(get(local.digits)), refuse)
  return [
    set(local.from, at),
    set(local.negative, isByte(45)),
    advance(get(local.negative)),
    takeByte,
    set(local.digits, i32.const(0)),
    set(local.places, i32.const(0)),
    set(local.whole, i64.const(0n)),
    digitsCode(reads),
    some,
    when(i32.and(isByte(48), i32.ne(get(local.digits), i32.const(1))), refuse),
    takeByte,
    when(isByte(46), [
      advance(i32.const(1)),
      set(local.places, get(local.digits)),
      digitsCode(reads),
      set(local.places, i32.sub(get(local.digits), get(local.places))),
      when(i32.eqz(get(local.places)), refuse),
      takeByte,
    ]),
    when(i32.eq(i32.or(get(local.byte), i32.const(32)), i32.const(101)), [
      advance(i32.const(1)),
      takeByte,
      advance(i32.or(isByte(43), isByte(45))),
      set(local.digits, i32.const(0)),
      digitsCode(false),
      some,
      set(local.digits, i32.const(DIGITS_MAX + 1)),
    ]),
    into === null ? [] : doubleCode(into),
  ]
}

const DIGITS_MAX = 18

/**
 * Digits from here on, eight at a time. A byte that is none has a bit in its upper half, either less
 * '0' or with 6 more; what is behind the first of them is shifted out. The eight become four numbers of two
 * digits, two of four, and one.
 */
function digitsCode(reads: boolean): Code {
  const every = (byte: bigint) => i64.const(byte * 0x0101010101010101n)
  const eight = get(local.eight)
  const others = i64.and(i64.or(i64.add(eight, every(0x06n)), eight), every(0xf0n))
  const behind = i32.sub(i32.const(64), i32.shl(get(local.length), i32.const(3)))
  const sum = get(local.sum)
  const join = (base: bigint, bits: bigint, mask: bigint) =>
    set(
      local.sum,
      i64.and(
        i64.add(i64.mul(sum, i64.const(base)), i64.shrU(sum, i64.const(bits))),
        i64.const(mask),
      ),
    )
  const power = i64.load(i32.shl(get(local.length), i32.const(3)), WHOLE_POWERS)
  const gather = when(get(local.length), [
    set(local.sum, i64.shl(eight, i64.extend(behind))),
    join(10n, 8n, 0x00ff00ff00ff00ffn),
    join(100n, 16n, 0x0000ffff0000ffffn),
    join(10_000n, 32n, 0xffffffffn),
    set(local.whole, i64.add(i64.mul(get(local.whole), power), sum)),
  ])
  return repeat(
    [
      set(local.eight, i64.xor(i64.load(at, RECORDS), every(0x30n))),
      set(local.length, i32.shrU(i32.wrap(i64.ctz(others)), i32.const(3))),
      reads ? gather : [],
      set(local.digits, i32.add(get(local.digits), get(local.length))),
      advance(get(local.length)),
    ],
    i32.eq(get(local.length), i32.const(8)),
  )
}

function doubleCode(into: number): Code {
  const place = i32.const(into * FIELD_BYTES)
  const isExact = i32.and(
    i32.leU(get(local.digits), i32.const(DIGITS_MAX)),
    i64.ltU(get(local.whole), i64.const(2n ** 53n)),
  )
  const power = f64.load(i32.shl(get(local.places), i32.const(3)), POWERS)
  return when(
    isExact,
    [
      put(into, 0, i32.const(found.number)),
      f64.store(place, 16, f64.div(f64.fromI64(get(local.whole)), power)),
      when(get(local.negative), f64.store(place, 16, f64.neg(f64.load(place, 16)))),
    ],
    [
      put(into, 0, i32.const(found.decimal)),
      put(into, 4, get(local.from)),
      put(into, 8, at),
      raise(flags.left),
    ],
  )
}
