/** Cuts a Lua source into tokens. A source is a byte string: one character a byte. */

export type Token =
  | { kind: 'name' | 'keyword' | 'symbol' | 'string'; text: string; line: number }
  | { kind: 'number'; text: string; value: number; line: number }
  | { kind: 'end'; text: '<end>'; line: number }

/** What the translator does not know, or what is no Lua at all. */
export class LuaSyntaxError extends Error {
  override readonly name = 'LuaSyntaxError'

  constructor(message: string, line: number) {
    super(`Lua line ${line}: ${message}`)
  }
}

const keywords = new Set(
  (
    'and break do else elseif end false for function if in local nil not or repeat return then ' +
    'true until while'
  ).split(' '),
)

const space = /[ \t\r\n\v\f]+/y
const longBracket = /\[(=*)\[/y
const word = /[A-Za-z_][A-Za-z0-9_]*/y
const numeral = /0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/y
const symbol = /\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}[\];:,.]/y

const escapes: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
  '\n': '\n',
}

export function tokens(source: string): Token[] {
  return new Lexer(source).all()
}

class Lexer {
  readonly #source: string
  #at = 0
  #line = 1

  constructor(source: string) {
    this.#source = source
  }

  all(): Token[] {
    const found: Token[] = []
    for (this.#skip(); this.#at < this.#source.length; this.#skip()) found.push(this.#next())
    found.push({ kind: 'end', text: '<end>', line: this.#line })
    return found
  }

  /** Spaces and comments. */
  #skip(): void {
    for (;;) {
      if (this.#take(space) !== undefined) continue
      if (!this.#source.startsWith('--', this.#at)) return
      this.#at += 2
      if (this.#long() !== undefined) continue
      const end = this.#source.indexOf('\n', this.#at)
      this.#at = end < 0 ? this.#source.length : end
    }
  }

  #next(): Token {
    const line = this.#line
    const quote = this.#source[this.#at]!
    if (quote === '"' || quote === "'") return { kind: 'string', text: this.#quoted(quote), line }
    const long = this.#long()
    if (long !== undefined) return { kind: 'string', text: long, line }
    const name = this.#take(word)
    if (name !== undefined)
      return { kind: keywords.has(name) ? 'keyword' : 'name', text: name, line }
    const number = this.#take(numeral)
    if (number !== undefined) return { kind: 'number', text: number, value: Number(number), line }
    const sign = this.#take(symbol)
    if (sign !== undefined) return { kind: 'symbol', text: sign, line }
    throw new LuaSyntaxError(`unexpected ${JSON.stringify(quote)}`, line)
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#source)?.[0]
    if (text === undefined) return undefined
    this.#advance(text.length)
    return text
  }

  #advance(length: number): void {
    const end = this.#at + length
    for (; this.#at < end; this.#at++) if (this.#source[this.#at] === '\n') this.#line++
  }

  /** A string or comment in long brackets, if one begins here. */
  #long(): string | undefined {
    longBracket.lastIndex = this.#at
    const open = longBracket.exec(this.#source)
    if (!open) return undefined
    const close = `]${open[1]}]`
    const end = this.#source.indexOf(close, this.#at)
    if (end < 0) throw new LuaSyntaxError('unfinished long brackets', this.#line)
    const text = this.#source.slice(this.#at + open[0].length, end)
    this.#advance(end + close.length - this.#at)
    return text.replace(/^\r?\n/, '')
  }

  #quoted(quote: string): string {
    const line = this.#line
    let text = ''
    for (this.#at++; this.#source[this.#at] !== quote; ) {
      const char = this.#source[this.#at]
      if (char === undefined || char === '\n') throw new LuaSyntaxError('unfinished string', line)
      text += char === '\\' ? this.#escape() : char
      if (char !== '\\') this.#at++
    }
    this.#at++
    return text
  }

  #escape(): string {
    const decimal = /^\d{1,3}/.exec(this.#source.slice(this.#at + 1, this.#at + 4))?.[0]
    if (decimal !== undefined) {
      this.#at += 1 + decimal.length
      return String.fromCharCode(Number(decimal))
    }
    const char = this.#source[this.#at + 1] ?? ''
    const meaning = escapes[char]
    if (meaning === undefined) throw new LuaSyntaxError(`unknown escape \\${char}`, this.#line)
    this.#advance(2)
    return meaning
  }
}
