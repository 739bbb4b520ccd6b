/**
 * Parses the part of Lua 5.1 that our functions are written in. What it does not know, such as
 * methods or global functions, it refuses with the line, so that no change of the functions
 * can mean something else here than in Redis.
 */
import { LuaSyntaxError, type Token, tokens } from './tokens.ts'

export type Expression = { line: number } & (
  | { kind: 'nil' | 'true' | 'false' | 'rest' }
  | { kind: 'number'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'name'; name: string }
  | { kind: 'index'; object: Expression; key: Expression }
  | { kind: 'call'; callee: Expression; args: Expression[] }
  | { kind: 'function'; params: string[]; body: Statement[] }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression }
  | { kind: 'unary'; operator: string; operand: Expression }
  | { kind: 'table'; list: Expression[]; pairs: [Expression, Expression][] }
  | { kind: 'paren'; inner: Expression }
)

export type Statement = { line: number } & (
  | { kind: 'local'; names: string[]; values: Expression[] }
  | { kind: 'localFunction'; name: string; params: string[]; body: Statement[] }
  | { kind: 'assign'; targets: Expression[]; values: Expression[] }
  | { kind: 'call'; call: Expression }
  | { kind: 'do'; body: Statement[] }
  | { kind: 'while'; condition: Expression; body: Statement[] }
  | { kind: 'repeat'; condition: Expression; body: Statement[] }
  | { kind: 'if'; clauses: [Expression, Statement[]][]; otherwise: Statement[] }
  | {
      kind: 'for'
      name: string
      from: Expression
      to: Expression
      step?: Expression
      body: Statement[]
    }
  | { kind: 'forIn'; names: string[]; values: Expression[]; body: Statement[] }
  | { kind: 'return'; values: Expression[] }
  | { kind: 'break' }
)

/** Left and right binding power; `..` and `^` bind to the right. */
const powers: Record<string, [left: number, right: number]> = {
  or: [1, 1],
  and: [2, 2],
  '<': [3, 3],
  '>': [3, 3],
  '<=': [3, 3],
  '>=': [3, 3],
  '~=': [3, 3],
  '==': [3, 3],
  '..': [5, 4],
  '+': [6, 6],
  '-': [6, 6],
  '*': [7, 7],
  '/': [7, 7],
  '%': [7, 7],
  '^': [10, 9],
}
const UNARY_POWER = 8

const blockEnds = new Set(['end', 'else', 'elseif', 'until'])

/** @throws LuaSyntaxError */
export function parse(source: string): Statement[] {
  return new Parser(tokens(source)).chunk()
}

class Parser {
  readonly #tokens: Token[]
  #at = 0

  constructor(list: Token[]) {
    this.#tokens = list
  }

  chunk(): Statement[] {
    const body = this.#block()
    if (this.#token.kind !== 'end') throw this.#unexpected()
    return body
  }

  get #token(): Token {
    return this.#tokens[this.#at]!
  }

  #unexpected(): LuaSyntaxError {
    return new LuaSyntaxError(`unexpected '${this.#token.text}'`, this.#token.line)
  }

  /** Whether this keyword or symbol is next. */
  #is(text: string): boolean {
    const { kind } = this.#token
    return (kind === 'keyword' || kind === 'symbol') && this.#token.text === text
  }

  #isBlockEnd(): boolean {
    const { kind, text } = this.#token
    return kind === 'end' || (kind === 'keyword' && blockEnds.has(text))
  }

  #accept(text: string): boolean {
    const found = this.#is(text)
    if (found) this.#at++
    return found
  }

  #expect(text: string): void {
    if (!this.#accept(text)) throw this.#unexpected()
  }

  #name(): string {
    const token = this.#token
    if (token.kind !== 'name') throw this.#unexpected()
    this.#at++
    return token.text
  }

  #block(): Statement[] {
    const body: Statement[] = []
    for (;;) {
      while (this.#accept(';'));
      if (this.#isBlockEnd()) return body
      const last = this.#is('return')
      body.push(this.#statement())
      while (this.#accept(';'));
      if (last) return body
    }
  }

  #statement(): Statement {
    const { line, kind, text } = this.#token
    if (kind !== 'keyword') return this.#expressionStatement(line)
    this.#at++
    switch (text) {
      case 'local':
        return this.#local(line)
      case 'if':
        return this.#if(line)
      case 'for':
        return this.#for(line)
      case 'while': {
        const condition = this.#expression()
        this.#expect('do')
        return { kind: 'while', line, condition, body: this.#bodyToEnd() }
      }
      case 'repeat': {
        const body = this.#block()
        this.#expect('until')
        return { kind: 'repeat', line, body, condition: this.#expression() }
      }
      case 'do':
        return { kind: 'do', line, body: this.#bodyToEnd() }
      case 'return': {
        const none = this.#is(';') || this.#isBlockEnd()
        return { kind: 'return', line, values: none ? [] : this.#list() }
      }
      case 'break':
        return { kind: 'break', line }
      default:
        throw new LuaSyntaxError(`no statement begins with '${text}' here`, line)
    }
  }

  #bodyToEnd(): Statement[] {
    const body = this.#block()
    this.#expect('end')
    return body
  }

  #local(line: number): Statement {
    if (this.#accept('function')) {
      const name = this.#name()
      return { kind: 'localFunction', line, name, ...this.#functionRest() }
    }
    const names = this.#names()
    return { kind: 'local', line, names, values: this.#accept('=') ? this.#list() : [] }
  }

  #names(): string[] {
    const names = [this.#name()]
    while (this.#accept(',')) names.push(this.#name())
    return names
  }

  #if(line: number): Statement {
    const clauses: [Expression, Statement[]][] = []
    let otherwise: Statement[] = []
    do {
      const condition = this.#expression()
      this.#expect('then')
      clauses.push([condition, this.#block()])
    } while (this.#accept('elseif'))
    if (this.#accept('else')) otherwise = this.#block()
    this.#expect('end')
    return { kind: 'if', line, clauses, otherwise }
  }

  #for(line: number): Statement {
    const names = this.#names()
    if (names.length > 1 || this.#is('in')) {
      this.#expect('in')
      const values = this.#list()
      this.#expect('do')
      return { kind: 'forIn', line, names, values, body: this.#bodyToEnd() }
    }
    this.#expect('=')
    const from = this.#expression()
    this.#expect(',')
    const to = this.#expression()
    const step = this.#accept(',') ? this.#expression() : undefined
    this.#expect('do')
    const body = this.#bodyToEnd()
    return { kind: 'for', line, name: names[0]!, from, to, ...(step && { step }), body }
  }

  #expressionStatement(line: number): Statement {
    const first = this.#suffixed()
    if (first.kind === 'call' && !this.#is('=') && !this.#is(',')) {
      return { kind: 'call', line, call: first }
    }
    const targets = [first]
    while (this.#accept(',')) targets.push(this.#suffixed())
    this.#expect('=')
    if (targets.some(({ kind }) => kind !== 'name' && kind !== 'index')) {
      throw new LuaSyntaxError('cannot assign to this', line)
    }
    return { kind: 'assign', line, targets, values: this.#list() }
  }

  #list(): Expression[] {
    const list = [this.#expression()]
    while (this.#accept(',')) list.push(this.#expression())
    return list
  }

  #expression(limit = 0): Expression {
    let left = this.#unary()
    for (;;) {
      const { kind, text, line } = this.#token
      const power = kind === 'symbol' || kind === 'keyword' ? powers[text] : undefined
      if (!power || power[0] <= limit) return left
      this.#at++
      left = { kind: 'binary', line, operator: text, left, right: this.#expression(power[1]) }
    }
  }

  #unary(): Expression {
    const { text: operator, line } = this.#token
    if (this.#accept('not') || this.#accept('-') || this.#accept('#')) {
      return { kind: 'unary', line, operator, operand: this.#expression(UNARY_POWER) }
    }
    return this.#simple()
  }

  #simple(): Expression {
    const token = this.#token
    const { line } = token
    if (token.kind === 'number') {
      this.#at++
      return { kind: 'number', line, value: token.value }
    }
    if (token.kind === 'string') {
      this.#at++
      return { kind: 'string', line, value: token.text }
    }
    if (this.#accept('...')) return { kind: 'rest', line }
    if (this.#accept('nil')) return { kind: 'nil', line }
    if (this.#accept('true')) return { kind: 'true', line }
    if (this.#accept('false')) return { kind: 'false', line }
    if (this.#accept('function')) return { kind: 'function', line, ...this.#functionRest() }
    if (this.#is('{')) return this.#table()
    return this.#suffixed()
  }

  #suffixed(): Expression {
    const { line } = this.#token
    let expression: Expression
    if (this.#accept('(')) {
      expression = { kind: 'paren', line, inner: this.#expression() }
      this.#expect(')')
    } else {
      expression = { kind: 'name', line, name: this.#name() }
    }
    for (;;) {
      const { line } = this.#token
      if (this.#accept('.')) {
        const key: Expression = { kind: 'string', line, value: this.#name() }
        expression = { kind: 'index', line, object: expression, key }
      } else if (this.#accept('[')) {
        expression = { kind: 'index', line, object: expression, key: this.#expression() }
        this.#expect(']')
      } else if (this.#accept('(')) {
        const args = this.#is(')') ? [] : this.#list()
        this.#expect(')')
        expression = { kind: 'call', line, callee: expression, args }
      } else if (this.#is('{') || this.#token.kind === 'string') {
        expression = { kind: 'call', line, callee: expression, args: [this.#simple()] }
      } else {
        return expression
      }
    }
  }

  #functionRest(): { params: string[]; body: Statement[] } {
    this.#expect('(')
    const params = this.#params()
    this.#expect(')')
    return { params, body: this.#bodyToEnd() }
  }

  /** Names; the last may be `...`. */
  #params(): string[] {
    const params: string[] = []
    if (this.#is(')')) return params
    do {
      if (this.#accept('...')) return [...params, '...']
      params.push(this.#name())
    } while (this.#accept(','))
    return params
  }

  #table(): Expression {
    const { line } = this.#token
    const list: Expression[] = []
    const pairs: [Expression, Expression][] = []
    this.#expect('{')
    while (!this.#is('}')) {
      const following = this.#tokens[this.#at + 1]
      if (this.#accept('[')) {
        const key = this.#expression()
        this.#expect(']')
        this.#expect('=')
        pairs.push([key, this.#expression()])
      } else if (
        this.#token.kind === 'name' &&
        following?.text === '=' &&
        following.kind === 'symbol'
      ) {
        const key: Expression = { kind: 'string', line: this.#token.line, value: this.#name() }
        this.#expect('=')
        pairs.push([key, this.#expression()])
      } else {
        list.push(this.#expression())
      }
      if (!this.#accept(',') && !this.#accept(';')) break
    }
    this.#expect('}')
    return { kind: 'table', line, list, pairs }
  }
}
