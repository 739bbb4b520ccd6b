/**
 * WebAssembly, as much of it as a scan is made of: instructions as bytes, put together by functions that
 * are named as the instructions are, and a module of one function around them. Pure.
 *
 * Encoding: WebAssembly specification, "Binary Format", with its 128-bit vectors.
 */

/** Bytes, in lists within lists until a module is made of them. */
export type Code = readonly (number | Code)[]

export const types = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const
export type Type = keyof typeof types

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = []
  let left = value
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128)
  bytes.push(left)
  return bytes
}

/** Signed LEB128. */
function signed(value: bigint): Code {
  const bytes: number[] = []
  let left = value
  for (; left < -64n || left >= 64n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80)
  bytes.push(Number(left & 0x7fn))
  return bytes
}

/** Of an instruction that takes its operands from before it. */
const plain =
  (...opcode: number[]) =>
  (...operands: Code[]): Code => [operands, opcode]
/** Of one that reads at an address plus an offset. */
const loading =
  (...opcode: number[]) =>
  (address: Code, offset: number): Code => [address, opcode, 0, unsigned(offset)]
const storing =
  (...opcode: number[]) =>
  (address: Code, offset: number, value: Code): Code => [
    address,
    value,
    opcode,
    0,
    unsigned(offset),
  ]

export const get = (local: number): Code => [0x20, local]
export const set = (local: number, value: Code): Code => [value, 0x21, local]

export const i32 = {
  const: (value: number): Code => [0x41, signed(BigInt(value))],
  load8: loading(0x2d),
  load16: loading(0x2f),
  store: storing(0x36),
  store8: storing(0x3a),
  eqz: plain(0x45),
  eq: plain(0x46),
  ne: plain(0x47),
  ltU: plain(0x49),
  gtU: plain(0x4b),
  leU: plain(0x4d),
  geU: plain(0x4f),
  ctz: plain(0x68),
  add: plain(0x6a),
  sub: plain(0x6b),
  and: plain(0x71),
  or: plain(0x72),
  shl: plain(0x74),
  shrU: plain(0x76),
  wrap: plain(0xa7),
}

export const i64 = {
  const: (value: bigint): Code => [0x42, signed(BigInt.asIntN(64, value))],
  load: loading(0x29),
  store: storing(0x37),
  ne: plain(0x52),
  ltU: plain(0x54),
  ctz: plain(0x7a),
  add: plain(0x7c),
  mul: plain(0x7e),
  and: plain(0x83),
  or: plain(0x84),
  xor: plain(0x85),
  shl: plain(0x86),
  shrU: plain(0x88),
  extend: plain(0xad),
}

export const f64 = {
  load: loading(0x2b),
  store: storing(0x39),
  neg: plain(0x9a),
  div: plain(0xa3),
  fromI64: plain(0xba),
}

export const v128 = {
  load: loading(0xfd, 0x00),
  store: storing(0xfd, 0x0b),
  and: plain(0xfd, 0x4e),
  or: plain(0xfd, 0x50),
  xor: plain(0xfd, 0x51),
  anyTrue: plain(0xfd, 0x53),
}

export const i8x16 = {
  const: (bytes: readonly number[]): Code => [0xfd, 0x0c, bytes],
  splat: plain(0xfd, 0x0f),
  eq: plain(0xfd, 0x23),
  ltS: plain(0xfd, 0x25),
  ltU: plain(0xfd, 0x26),
  bitmask: plain(0xfd, 0x64),
}

export const i64x2 = {
  lane: (value: Code, lane: number): Code => [value, 0xfd, 0x1d, lane],
}

export const when = (condition: Code, then: Code, otherwise: Code = []): Code => [
  condition,
  [0x04, 0x40],
  then,
  otherwise.length > 0 ? [0x05, otherwise] : [],
  0x0b,
]
/** Again while the condition that it ends with holds. */
export const repeat = (body: Code, condition: Code): Code => [
  [0x03, 0x40],
  body,
  condition,
  [0x0d, 0, 0x0b],
]
export const leave = (value: Code): Code => [value, 0x0f]

/** The locals' numbers, by their names. */
export const numbered = <Name extends string>(types: Record<Name, Type>): Record<Name, number> =>
  Object.fromEntries(Object.keys(types).map((name, index) => [name, index])) as Record<Name, number>

/**
 * A module that exports the one function `f`, and imports the memory `m.m`. The first locals are the
 * function's parameters; it gives an int32.
 */
export function moduleOf(
  localTypes: Record<string, Type>,
  parameters: number,
  body: Code,
): Buffer<ArrayBuffer> {
  const all = Object.values(localTypes).map((type) => types[type])
  const others = all.slice(parameters).map((type) => [1, type])
  const code = flat([vector(others), body, 0x0b])
  const signature = [0x60, parameters, all.slice(0, parameters), 1, types.i32]
  const length = unsigned(code.length)
  const head = [
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    section(1, vector([signature])),
    section(2, vector([[name('m'), name('m'), 2, 0, 1]])),
    section(3, vector([[0]])),
    section(7, vector([[name('f'), 0, 0]])),
    // The code's own section, of one function.
    [10, unsigned(1 + length.length + code.length), 1, length],
  ]
  return Buffer.concat([Uint8Array.from(flat(head)), Uint8Array.from(code)])
}

const vector = (items: Code[]): Code => [unsigned(items.length), items]
const name = (text: string): Code => [unsigned(text.length), [...Buffer.from(text)]]

function section(id: number, body: Code): Code {
  const bytes = flat(body)
  return [id, unsigned(bytes.length), bytes]
}

function flat(code: Code, into: number[] = []): number[] {
  for (let i = 0; i < code.length; i++) {
    const one = code[i]!
    if (typeof one === 'number') into.push(one)
    else flat(one, into)
  }
  return into
}
