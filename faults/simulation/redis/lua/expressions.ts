/** Expressions of Lua as JavaScript, and the names that they are made of. */
import { library, singles } from './library.ts'
import type { Expression, Statement } from './syntax.ts'
import { LuaSyntaxError } from './tokens.ts'

type Kind = 'number' | 'string' | 'boolean' | 'any'

interface Code {
  text: string
  kind: Kind
}

interface Variable {
  js: string
  /** A function of which every return is of one value. */
  single: boolean
}

const arithmetic: Record<string, [name: string, operator: string | undefined]> = {
  '+': ['add', '+'],
  '-': ['subtract', '-'],
  '*': ['multiply', '*'],
  '/': ['divide', '/'],
  '%': ['modulo', undefined],
  '^': ['power', '**'],
}

const comparison: Record<string, string> = {
  '<': 'less',
  '<=': 'lessOrEqual',
  '>': 'greater',
  '>=': 'greaterOrEqual',
}

const libraries = new Set(['redis', ...Object.keys(library).map((name) => name.split('.')[0]!)])

/** What statements are translated with, too. */
export abstract class Expressions {
  readonly #globals: ReadonlySet<string>
  /** Library members that are used, as constants of the chunk. */
  protected readonly constants = new Map<string, string>()
  protected scopes: Map<string, Variable>[] = []
  protected temporaries: string[] = []
  #count = 0

  constructor(globals: readonly string[]) {
    this.#globals = new Set(globals)
  }

  /** A function as an arrow function. */
  protected abstract function(params: string[], body: Statement[]): string

  // Names

  protected declare(name: string, single = false): string {
    if (libraries.has(name)) throw new LuaSyntaxError(`a local '${name}' would hide a library`, 0)
    const js = `${name === '...' ? 'rest' : name}_${++this.#count}`
    this.scopes.at(-1)!.set(name, { js, single })
    return js
  }

  protected fresh(): string {
    return `t_${++this.#count}`
  }

  /** A variable of the enclosing function for a value that is looked at twice. */
  protected temporary(): string {
    const name = this.fresh()
    this.temporaries.push(name)
    return name
  }

  protected lookup(name: string): Variable | undefined {
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const found = this.scopes[i]!.get(name)
      if (found) return found
    }
    return undefined
  }

  protected scoped<T>(work: () => T): T {
    this.scopes.push(new Map())
    try {
      return work()
    } finally {
      this.scopes.pop()
    }
  }

  /** The dotted name of something from outside: `unpack`, `redis.call`. */
  protected outside(expression: Expression): string | undefined {
    if (expression.kind === 'name') {
      return this.lookup(expression.name) ? undefined : expression.name
    }
    if (expression.kind !== 'index' || expression.key.kind !== 'string') return undefined
    if (expression.object.kind !== 'name' || this.lookup(expression.object.name)) return undefined
    return `${expression.object.name}.${expression.key.value}`
  }

  protected constant(name: string, line: number): string {
    const owner = this.#globals.has(name) ? 'globals' : Object.hasOwn(library, name) && 'library'
    if (!owner) throw new LuaSyntaxError(`'${name}' is not known here`, line)
    const js = `${name.replace('.', '_')}_0`
    this.constants.set(name, `const ${js} = ${owner}[${JSON.stringify(name)}];`)
    return js
  }

  // Expressions

  /** Values in a row, the last with all that it has. */
  protected spread(values: Expression[]): string {
    return values
      .map((value, i) =>
        i === values.length - 1 && !this.isSingle(value)
          ? `...all(${this.raw(value)})`
          : this.value(value).text,
      )
      .join(', ')
  }

  protected isSingle(expression: Expression): boolean {
    if (expression.kind === 'rest') return false
    if (expression.kind !== 'call') return true
    if (expression.callee.kind === 'name') {
      const variable = this.lookup(expression.callee.name)
      if (variable) return variable.single
    }
    const outside = this.outside(expression.callee)
    return outside !== undefined && Object.hasOwn(singles, outside)
  }

  /** One value, or a list of them where a call returns that. */
  protected raw(expression: Expression): string {
    if (expression.kind === 'rest') return this.rest(expression.line)
    return expression.kind === 'call' ? this.call(expression) : this.value(expression).text
  }

  /** The list that stands for `...`. */
  protected rest(line: number): string {
    const js = this.lookup('...')?.js
    if (!js) throw new LuaSyntaxError("no '...' here", line)
    return js
  }

  protected call({ callee, args, line }: Expression & { kind: 'call' }): string {
    const outside = this.outside(callee)
    if (outside === 'ipairs' || outside === 'pairs') {
      throw new LuaSyntaxError(`${outside} outside of a for`, line)
    }
    const called = this.#callee(callee, line)
    const [only] = args
    if (only && args.length === 1 && !this.isSingle(only)) {
      return `apply(${called}, ${this.raw(only)})`
    }
    return `${called}(${this.spread(args)})`
  }

  #callee(callee: Expression, line: number): string {
    const outside = this.outside(callee)
    if (outside !== undefined) return this.constant(outside, line)
    const variable = callee.kind === 'name' ? this.lookup(callee.name) : undefined
    return variable?.single ? variable.js : `call(${this.value(callee).text})`
  }

  protected value(expression: Expression): Code {
    switch (expression.kind) {
      case 'nil':
        return { text: 'undefined', kind: 'any' }
      case 'true':
      case 'false':
        return { text: expression.kind, kind: 'boolean' }
      case 'rest':
        return { text: `${this.rest(expression.line)}[0]`, kind: 'any' }
      case 'number':
        return { text: String(expression.value), kind: 'number' }
      case 'string':
        return { text: JSON.stringify(expression.value), kind: 'string' }
      case 'paren':
        return this.value(expression.inner)
      case 'function':
        return { text: `(${this.function(expression.params, expression.body)})`, kind: 'any' }
      case 'table':
        return this.#table(expression)
      case 'name':
      case 'index':
        return this.#reference(expression)
      case 'call': {
        if (!this.isSingle(expression))
          return { text: `first(${this.call(expression)})`, kind: 'any' }
        const outside = this.outside(expression.callee)
        return { text: this.call(expression), kind: singles[outside ?? ''] ?? 'any' }
      }
      case 'unary':
        return this.#unary(expression.operator, expression.operand)
      case 'binary':
        return this.#binary(expression)
    }
  }

  #reference(expression: Expression & { kind: 'name' | 'index' }): Code {
    const outside = this.outside(expression)
    if (outside !== undefined) return { text: this.constant(outside, expression.line), kind: 'any' }
    if (expression.kind === 'name') return { text: this.lookup(expression.name)!.js, kind: 'any' }
    const object = this.value(expression.object).text
    const key = this.value(expression.key).text
    const find = expression.key.kind === 'string' ? 'field' : 'index'
    return { text: `${find}(${object}, ${key})`, kind: 'any' }
  }

  #table({ list, pairs }: Expression & { kind: 'table' }): Code {
    const parts = [`[${this.spread(list)}]`]
    if (pairs.every(([key]) => key.kind === 'string')) {
      const puts = pairs.map(([key, value]) => {
        return `.put(${this.value(key).text}, ${this.value(value).text})`
      })
      return { text: `build(${parts.join('')})${puts.join('')}`, kind: 'any' }
    }
    for (const [key, value] of pairs) parts.push(this.value(key).text, this.value(value).text)
    return { text: `build(${parts.join(', ')})`, kind: 'any' }
  }

  #unary(operator: string, operand: Expression): Code {
    if (operator === 'not') return { text: `!${this.test(operand)}`, kind: 'boolean' }
    const { text, kind } = this.value(operand)
    if (operator === '#') return { text: `length(${text})`, kind: 'number' }
    return { text: kind === 'number' ? `(-${text})` : `(-num(${text}))`, kind: 'number' }
  }

  #binary(expression: Expression & { kind: 'binary' }): Code {
    const { operator } = expression
    if (operator === 'and' || operator === 'or') return this.#choice(expression)
    if (operator === '..') return this.#concatenation(expression)
    const left = this.value(expression.left)
    const right = this.value(expression.right)
    const numbers = left.kind === 'number' && right.kind === 'number'
    if (operator === '==' || operator === '~=') {
      const sign = operator === '==' ? '===' : '!=='
      return { text: `(${left.text} ${sign} ${right.text})`, kind: 'boolean' }
    }
    const compare = comparison[operator]
    if (compare) {
      const text = numbers
        ? `(${left.text} ${operator} ${right.text})`
        : `${compare}(${left.text}, ${right.text})`
      return { text, kind: 'boolean' }
    }
    const [name, sign] = arithmetic[operator]!
    const text =
      numbers && sign
        ? `(${left.text} ${sign} ${right.text})`
        : `${name}(${left.text}, ${right.text})`
    return { text, kind: 'number' }
  }

  #concatenation(expression: Expression): Code {
    const parts: string[] = []
    let rest = expression
    for (; rest.kind === 'binary' && rest.operator === '..'; rest = rest.right) {
      parts.push(this.#asText(rest.left))
    }
    parts.push(this.#asText(rest))
    return { text: `(${parts.join(' + ')})`, kind: 'string' }
  }

  #asText(expression: Expression): string {
    const { text, kind } = this.value(expression)
    return kind === 'string' ? text : `text(${text})`
  }

  #choice({ operator, left, right }: Expression & { kind: 'binary' }): Code {
    const a = this.value(left)
    if (a.kind === 'boolean') {
      const b = this.value(right)
      const text = `(${a.text} ${operator === 'and' ? '&&' : '||'} ${b.text})`
      return { text, kind: b.kind === 'boolean' ? 'boolean' : 'any' }
    }
    const held = this.temporary()
    const b = this.value(right)
    const test = `truthy(${held} = ${a.text})`
    const text =
      operator === 'and' ? `(${test} ? ${b.text} : ${held})` : `(${test} ? ${held} : ${b.text})`
    return { text, kind: operator === 'or' && a.kind === b.kind ? a.kind : 'any' }
  }

  protected test(expression: Expression): string {
    if (expression.kind === 'binary' && /^(?:and|or)$/.test(expression.operator)) {
      const sign = expression.operator === 'and' ? '&&' : '||'
      return `(${this.test(expression.left)} ${sign} ${this.test(expression.right)})`
    }
    if (expression.kind === 'paren') return this.test(expression.inner)
    const { text, kind } = this.value(expression)
    return kind === 'boolean' ? text : `truthy(${text})`
  }
}
