/**
 * Lua's string patterns as regular expressions: both try one character class at a time and go back
 * where they went wrong, so that the translation is literal. Not known, and refused: %b, %f, back
 * references and captures of a position.
 */
import { LuaError } from './table.ts'

/** Classes as they stand in brackets; Lua's are those of C for the locale "C". */
const classes: Record<string, string> = {
  a: 'A-Za-z',
  c: '\\x00-\\x1f\\x7f',
  d: '0-9',
  l: 'a-z',
  p: '!-\\/:-@\\[-`{-~',
  s: ' \\t-\\r',
  u: 'A-Z',
  w: 'A-Za-z0-9',
  x: 'A-Fa-f0-9',
  z: '\\x00',
}

const known = new Map<string, RegExp>()

/** @returns a regular expression to use with `lastIndex` */
export function patternOf(pattern: string): RegExp {
  let regex = known.get(pattern)
  if (!regex) {
    const anchored = pattern.startsWith('^')
    regex = new RegExp(new Translation(pattern, anchored ? 1 : 0).text(), anchored ? 'y' : 'g')
    known.set(pattern, regex)
  }
  return regex
}

class Translation {
  readonly #pattern: string
  #at: number

  constructor(pattern: string, at: number) {
    this.#pattern = pattern
    this.#at = at
  }

  text(): string {
    let text = ''
    while (this.#at < this.#pattern.length) text += this.#item()
    return text
  }

  #refuse(what: string): never {
    throw new LuaError(`pattern ${JSON.stringify(this.#pattern)}: ${what} is not supported here`)
  }

  #item(): string {
    const char = this.#pattern[this.#at]!
    if (char === '(') {
      if (this.#pattern[this.#at + 1] === ')') this.#refuse('a capture of the position')
      this.#at++
      return '('
    }
    if (char === ')') {
      this.#at++
      return ')'
    }
    if (char === '$' && this.#at === this.#pattern.length - 1) {
      this.#at++
      return '$'
    }
    return this.#single() + this.#repetition()
  }

  /** One character class outside of brackets. */
  #single(): string {
    const char = this.#pattern[this.#at++]!
    if (char === '.') return '[^]'
    if (char === '[') return this.#set()
    if (char !== '%') return literal(char)
    const next = this.#escaped()
    const members = classes[next.toLowerCase()]
    if (members === undefined) return literal(next)
    return next === next.toLowerCase() ? `[${members}]` : `[^${members}]`
  }

  #escaped(): string {
    const next = this.#pattern[this.#at++]
    if (next === undefined) return this.#refuse('a % at the end')
    if (/[bf0-9]/.test(next)) this.#refuse(`%${next}`)
    if (/[a-zA-Z]/.test(next) && classes[next.toLowerCase()] === undefined) this.#refuse(`%${next}`)
    return next
  }

  #set(): string {
    let text = '['
    if (this.#pattern[this.#at] === '^') {
      text += '^'
      this.#at++
    }
    for (let first = true; first || this.#pattern[this.#at] !== ']'; first = false) {
      const char = this.#pattern[this.#at++]
      if (char === undefined) return this.#refuse('a set without an end')
      text += char === '%' ? this.#member() : literal(char) + this.#rangeEnd()
    }
    this.#at++
    return `${text}]`
  }

  #rangeEnd(): string {
    const end = this.#pattern[this.#at + 1]
    if (this.#pattern[this.#at] !== '-' || end === undefined || end === ']') return ''
    this.#at += 2
    return `-${literal(end)}`
  }

  #member(): string {
    const next = this.#escaped()
    const members = classes[next.toLowerCase()]
    if (members === undefined) return literal(next)
    if (next !== next.toLowerCase()) this.#refuse(`%${next} in a set`)
    return members
  }

  #repetition(): string {
    const char = this.#pattern[this.#at]
    if (char !== '*' && char !== '+' && char !== '-' && char !== '?') return ''
    this.#at++
    return char === '-' ? '*?' : char
  }
}

const literal = (char: string): string =>
  /[A-Za-z0-9]/.test(char) ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`
