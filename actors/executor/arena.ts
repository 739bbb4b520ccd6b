/**
 * The memory that scans run in: a batch's records, what was found in the last of them, and the strings
 * that come again and again. One for all of a process, which folds one record at a time.
 *
 *   0 ─ fields, 32 bytes each ─ powers of ten ─ known strings, 32 bytes each ─ records ─ packed ones ─
 */
const FIELDS_MAX = 64
/**
 * A field that was read: what it was (`found`) in an int32, two more, where its string would stand among
 * the known ones, and at 16 its double.
 */
export const FIELD_BYTES = 32
/** 10⁰ to 10²² as doubles, and to 10⁸ as int64. */
export const POWERS = FIELDS_MAX * FIELD_BYTES
const POWERS_LENGTH = 23
export const WHOLE_POWERS = POWERS + POWERS_LENGTH * 8
const WHOLE_POWERS_LENGTH = 9
/** Strings of up to 31 bytes, each where the hash of its bytes says; filled up with zeros. */
export const KNOWN = 4_096
export const KNOWN_BYTES = 32
export const KNOWN_BITS = 12
export const RECORDS = KNOWN + KNOWN_BYTES * 2 ** KNOWN_BITS
/** Larger batches are not scanned. */
export const RECORDS_BYTES_MAX = 4 * 1024 * 1024
/** What a program reads or writes beyond its records at most: a fixed part, and some bytes at a time. */
export const BEYOND_BYTES_MAX = 64 * 1024
/** Records before they are unpacked, as many bytes at the most. */
export const PACKED = RECORDS + RECORDS_BYTES_MAX + BEYOND_BYTES_MAX

/**
 * What a field was: a number whose double stands there, a string that is known by its slot; a text or a
 * decimal from one place to another, which is left to `settle`; or one of three words.
 */
export const found = {
  number: 0,
  known: 1,
  text: 2,
  decimal: 3,
  null: 4,
  true: 5,
  false: 6,
} as const

/** Where a field begins among the arena's `words`; half of it, among its `doubles`. */
export const wordOf = (field: number): number => (field * FIELD_BYTES) / 4

export class Arena {
  readonly memory = new WebAssembly.Memory({
    initial: Math.ceil((PACKED + RECORDS_BYTES_MAX + BEYOND_BYTES_MAX) / 65_536),
  })
  readonly bytes = Buffer.from(this.memory.buffer)
  readonly words = new Int32Array(this.memory.buffer)
  readonly doubles = new Float64Array(this.memory.buffer)
  /** The known ones by their slot, and behind them one for each field. */
  readonly strings = Array.from({ length: 2 ** KNOWN_BITS + FIELDS_MAX }, () => '')
  #held: Buffer | null = null

  constructor() {
    const powers = Array.from({ length: POWERS_LENGTH }, (_, exponent) => 10 ** exponent)
    this.doubles.set(powers, POWERS / 8)
    const whole = new BigInt64Array(this.memory.buffer, WHOLE_POWERS, WHOLE_POWERS_LENGTH)
    for (let i = 0; i < WHOLE_POWERS_LENGTH; i++) whole[i] = BigInt(powers[i]!)
  }

  /** A program's function, at work on this memory; null where the processor is too old for vectors. */
  load<Run>(program: Buffer<ArrayBuffer>): Run | null {
    if (!WebAssembly.validate(program)) return null
    const imports = { m: { m: this.memory } }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(program), imports)
    return exports['f'] as Run
  }

  /** Whether these are the records at hand. */
  holds(records: Buffer): boolean {
    return records === this.#held
  }

  /** Makes these the records at hand; false where there are too many. */
  hold(records: Buffer): boolean {
    if (records === this.#held) return true
    if (records.buffer === this.memory.buffer) throw new Error('these records were written over')
    if (records.length > RECORDS_BYTES_MAX) return false
    this.bytes.set(records, RECORDS)
    this.#end(records)
    return true
  }

  /** What is at hand is written over. */
  release(): void {
    this.#held = null
  }

  /** The records at hand are what was written there. They are these bytes until others are held. */
  written(length: number): Buffer {
    const records = this.bytes.subarray(RECORDS, RECORDS + length)
    this.#end(records)
    return records
  }

  #end(records: Buffer): void {
    // No string, number or fixed part goes on through these.
    this.bytes.fill(0, RECORDS + records.length, RECORDS + records.length + 64)
    this.#held = records
  }

  /**
   * Reads those of the first fields that a program has left to us. Strings move to places of their fields'
   * own before: what is learned can take the slot of one that is known.
   */
  settle(fields: number): void {
    for (let field = 0; field < fields; field++) {
      const at = wordOf(field)
      if (this.words[at] === found.known) this.#give(field, this.strings[this.words[at + 1]!]!)
    }
    for (let field = 0; field < fields; field++) {
      const at = wordOf(field)
      const what = this.words[at]
      if (what !== found.text && what !== found.decimal) continue
      const from = RECORDS + this.words[at + 1]!
      const to = RECORDS + this.words[at + 2]!
      if (what === found.text) {
        const text = this.bytes.toString('utf8', from, to)
        this.#learn(this.words[at + 3]!, text, from, to)
        this.#give(field, text)
      } else {
        this.words[at] = found.number
        this.doubles[at / 2 + 2] = Number(this.bytes.toString('latin1', from, to))
      }
    }
  }

  #give(field: number, text: string): void {
    const at = wordOf(field)
    const slot = 2 ** KNOWN_BITS + field
    this.words[at] = found.known
    this.words[at + 1] = slot
    this.strings[slot] = text
  }

  /** `slot` is -1 for a text that is none to be known again. */
  #learn(slot: number, text: string, from: number, to: number): void {
    if (slot < 0) return
    const at = KNOWN + slot * KNOWN_BYTES
    this.bytes.fill(0, at, at + KNOWN_BYTES)
    this.bytes.copyWithin(at, from, to)
    this.strings[slot] = text
  }
}

let made: Arena | null = null

/** Made by the first scan. */
export const arena = (): Arena => (made ??= new Arena())
