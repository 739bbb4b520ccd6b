/**
 * Lua to JavaScript: one source becomes one JavaScript function, made once and run by each model.
 * Every Lua local becomes a `let` of its own name; calls and operators whose operands' types are
 * not known go through operators.ts; names of libraries are looked up while translating.
 */
import { library, singles } from './library.ts'
import * as operators from './operators.ts'
import { type Expression, parse, type Statement } from './syntax.ts'
import type { Value, Values } from './table.ts'
import { LuaSyntaxError } from './tokens.ts'

/** What a source finds in its surroundings besides Lua's own libraries. */
export type Globals = Record<string, Value>

export type Chunk = (globals: Globals) => Values

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

/**
 * @param source a byte string
 * @param globals names of what `Chunk` will be given, such as redis.call
 * @throws LuaSyntaxError for what is no Lua, or outside the part that is known here
 */
export function translate(source: string, globals: readonly string[]): Chunk {
  const body = new Translator(globals).chunk(parse(source))
  const names = [...Object.keys(operators), 'library', 'globals']
  // oxlint-disable-next-line typescript/no-implied-eval -- the sources are the project's own
  const make = new Function(...names, body) as (...values: unknown[]) => Values
  return (values) => make(...Object.values(operators), library, values)
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

class Translator {
  readonly #globals: ReadonlySet<string>
  /** Library members that are used, as constants of the chunk. */
  readonly #constants = new Map<string, string>()
  #scopes: Map<string, Variable>[] = []
  #temporaries: string[] = []
  #loops = 0
  #count = 0

  constructor(globals: readonly string[]) {
    this.#globals = new Set(globals)
  }

  chunk(statements: Statement[]): string {
    const body = this.#functionBody(statements)
    const constants = [...this.#constants.values()].join('\n')
    return `'use strict'\n${constants}\n${body}`
  }

  // Names

  #declare(name: string, single = false): string {
    if (libraries.has(name)) throw new LuaSyntaxError(`a local '${name}' would hide a library`, 0)
    const js = `${name === '...' ? 'rest' : name}_${++this.#count}`
    this.#scopes.at(-1)!.set(name, { js, single })
    return js
  }

  #fresh(): string {
    return `t_${++this.#count}`
  }

  /** A variable of the enclosing function for a value that is looked at twice. */
  #temporary(): string {
    const name = this.#fresh()
    this.#temporaries.push(name)
    return name
  }

  #lookup(name: string): Variable | undefined {
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const found = this.#scopes[i]!.get(name)
      if (found) return found
    }
    return undefined
  }

  #scoped<T>(work: () => T): T {
    this.#scopes.push(new Map())
    try {
      return work()
    } finally {
      this.#scopes.pop()
    }
  }

  /** The dotted name of something from outside: `unpack`, `redis.call`. */
  #outside(expression: Expression): string | undefined {
    if (expression.kind === 'name') {
      return this.#lookup(expression.name) ? undefined : expression.name
    }
    if (expression.kind !== 'index' || expression.key.kind !== 'string') return undefined
    if (expression.object.kind !== 'name' || this.#lookup(expression.object.name)) return undefined
    return `${expression.object.name}.${expression.key.value}`
  }

  #constant(name: string, line: number): string {
    const owner = this.#globals.has(name) ? 'globals' : Object.hasOwn(library, name) && 'library'
    if (!owner) throw new LuaSyntaxError(`'${name}' is not known here`, line)
    const js = `${name.replace('.', '_')}_0`
    this.#constants.set(name, `const ${js} = ${owner}[${JSON.stringify(name)}];`)
    return js
  }

  // Statements

  #functionBody(statements: Statement[]): string {
    const outer = { temporaries: this.#temporaries, loops: this.#loops }
    this.#temporaries = []
    this.#loops = 0
    const body = this.#scoped(() => {
      const text = this.#block(statements)
      return statements.at(-1)?.kind === 'return' ? text : `${text}\nreturn none;`
    })
    const declared = this.#temporaries.length > 0 ? `let ${this.#temporaries.join(', ')};\n` : ''
    this.#temporaries = outer.temporaries
    this.#loops = outer.loops
    return declared + body
  }

  #function(params: string[], body: Statement[]): string {
    return this.#scoped(() => {
      const names = params.map((name) =>
        name === '...' ? `...${this.#declare(name)}` : this.#declare(name),
      )
      // The rest is that of the innermost function alone.
      if (!params.includes('...')) this.#scopes.at(-1)!.set('...', { js: '', single: false })
      return `(${names.join(', ')}) => {\n${this.#functionBody(body)}\n}`
    })
  }

  #block(statements: Statement[]): string {
    return statements.map((statement) => this.#statement(statement)).join('\n')
  }

  #inner(statements: Statement[]): string {
    return this.#scoped(() => this.#block(statements))
  }

  #loop(statements: Statement[]): string {
    this.#loops++
    const body = this.#inner(statements)
    this.#loops--
    return body
  }

  #statement(statement: Statement): string {
    switch (statement.kind) {
      case 'local':
        return this.#local(statement.names, statement.values)
      case 'localFunction': {
        const js = this.#declare(statement.name, isSingle(statement.body))
        return `const ${js} = ${this.#function(statement.params, statement.body)};`
      }
      case 'assign':
        return this.#assign(statement.targets, statement.values)
      case 'call':
        return `${this.#raw(statement.call)};`
      case 'do':
        return `{\n${this.#inner(statement.body)}\n}`
      case 'while':
        return `while (${this.#test(statement.condition)}) {\n${this.#loop(statement.body)}\n}`
      case 'repeat':
        return this.#repeat(statement.body, statement.condition)
      case 'if':
        return this.#if(statement.clauses, statement.otherwise)
      case 'for':
        return this.#for(statement)
      case 'forIn':
        return this.#forIn(statement)
      case 'return':
        return this.#return(statement.values)
      case 'break':
        if (this.#loops === 0) throw new LuaSyntaxError('no loop to break', statement.line)
        return 'break;'
    }
  }

  #local(names: string[], values: Expression[]): string {
    if (names.length === 1 && values.length <= 1) {
      const value = values[0] ? ` = ${this.#value(values[0]).text}` : ''
      return `let ${this.#declare(names[0]!)}${value};`
    }
    const { before, texts } = this.#adjust(values, names.length)
    const declared = names.map((name, i) => `${this.#declare(name)} = ${texts[i]}`)
    return `${before}let ${declared.join(', ')};`
  }

  /** As many values as there are names. */
  #adjust(values: Expression[], wanted: number): { before: string; texts: string[] } {
    const last = values.at(-1)
    if (!last || values.length >= wanted || this.#isSingle(last)) {
      const texts = values.map((value) => this.#value(value).text)
      // Values beyond the names are evaluated and dropped.
      const extra = texts.splice(wanted).map((text) => `${text};\n`)
      while (texts.length < wanted) texts.push('undefined')
      return { before: extra.join(''), texts }
    }
    const texts = values.slice(0, -1).map((value) => this.#value(value).text)
    const list = this.#fresh()
    const before = `const ${list} = all(${this.#raw(last)});\n`
    for (let i = 0; texts.length < wanted; i++) texts.push(`${list}[${i}]`)
    return { before, texts }
  }

  #assign(targets: Expression[], values: Expression[]): string {
    if (targets.length === 1 && values.length === 1) {
      return this.#store(targets[0]!, this.#value(values[0]!).text)
    }
    const { before, texts } = this.#adjust(values, targets.length)
    const held = texts.map((text) => [this.#fresh(), text] as const)
    const declared = held.map(([name, text]) => `const ${name} = ${text};`).join('\n')
    const stores = targets.map((target, i) => this.#store(target, held[i]![0])).join('\n')
    return `{\n${before}${declared}\n${stores}\n}`
  }

  #store(target: Expression, text: string): string {
    if (target.kind === 'index') {
      const object = this.#value(target.object).text
      return `setIndex(${object}, ${this.#value(target.key).text}, ${text});`
    }
    const variable = target.kind === 'name' ? this.#lookup(target.name) : undefined
    if (!variable) throw new LuaSyntaxError('assigns to a global', target.line)
    if (variable.single) throw new LuaSyntaxError('assigns to a local function', target.line)
    return `${variable.js} = ${text};`
  }

  #repeat(body: Statement[], condition: Expression): string {
    return this.#scoped(() => {
      this.#loops++
      const text = this.#block(body)
      this.#loops--
      return `for (;;) {\n${text}\nif (${this.#test(condition)}) break;\n}`
    })
  }

  #if(clauses: [Expression, Statement[]][], otherwise: Statement[]): string {
    const text = clauses
      .map(([condition, body]) => `if (${this.#test(condition)}) {\n${this.#inner(body)}\n}`)
      .join(' else ')
    return otherwise.length > 0 ? `${text} else {\n${this.#inner(otherwise)}\n}` : text
  }

  #for({ name, from, to, step, body }: Statement & { kind: 'for' }): string {
    const [at, end, by] = [this.#fresh(), this.#fresh(), this.#fresh()]
    const bound = (expression: Expression) => {
      const { text, kind } = this.#value(expression)
      return kind === 'number' ? text : `bound(${text})`
    }
    const down = step?.kind === 'unary' && step.operand.kind === 'number'
    const test =
      !step || step.kind === 'number'
        ? `${at} <= ${end}`
        : down
          ? `${at} >= ${end}`
          : `(${by} > 0 ? ${at} <= ${end} : ${at} >= ${end})`
    const head = `let ${at} = ${bound(from)}, ${end} = ${bound(to)}, ${by} = ${step ? bound(step) : 1}`
    return this.#scoped(() => {
      const js = this.#declare(name)
      return `for (${head}; ${test}; ${at} += ${by}) {\nlet ${js} = ${at};\n${this.#loop(body)}\n}`
    })
  }

  #forIn({ names, values, body, line }: Statement & { kind: 'forIn' }): string {
    const [source] = values
    const iterator =
      values.length === 1 && source?.kind === 'call' ? this.#outside(source.callee) : undefined
    if (source?.kind === 'call' && (iterator === 'ipairs' || iterator === 'pairs')) {
      if (source.args.length !== 1 || names.length > 2) {
        throw new LuaSyntaxError(`${iterator} with more than one argument or two names`, line)
      }
      return this.#forPairs(iterator, this.#value(source.args[0]!).text, names, body)
    }
    const [step, state, control, list] = Array.from({ length: 4 }, () => this.#fresh())
    const { before, texts } = this.#adjust(values, 3)
    return this.#scoped(() => {
      const js = names.map((name) => this.#declare(name))
      const taken = js.map((name, i) => `${name} = ${list}[${i}]`).join(', ')
      return `{\n${before}const ${step} = ${texts[0]}, ${state} = ${texts[1]};
let ${control} = ${texts[2]};\nfor (;;) {
const ${list} = all(call(${step})(${state}, ${control}));\nlet ${taken};
if (${js[0]} === undefined) break;\n${control} = ${js[0]};\n${this.#loop(body)}\n}\n}`
    })
  }

  #forPairs(
    iterator: 'ipairs' | 'pairs',
    source: string,
    names: string[],
    body: Statement[],
  ): string {
    const [table, at, value] = [this.#fresh(), this.#fresh(), this.#fresh()]
    return this.#scoped(() => {
      const [key, item] = names.map((name) => this.#declare(name))
      const declared = `let ${key} = ${at}${item ? `, ${item} = ${value}` : ''};`
      const head =
        iterator === 'ipairs'
          ? `for (let ${at} = 1, ${value}; (${value} = ${table}.get(${at})) !== undefined; ${at}++) {`
          : `for (const ${at} of ${table}.keys()) {\nconst ${value} = ${table}.get(${at});
if (${value} === undefined) continue;`
      const text = `${head}\n${declared}\n${this.#loop(body)}\n}`
      return `{\nconst ${table} = asTable(${source});\n${text}\n}`
    })
  }

  #return(values: Expression[]): string {
    if (values.length === 0) return 'return none;'
    if (values.length === 1) return `return ${this.#raw(values[0]!)};`
    return `return [${this.#spread(values)}];`
  }

  // Expressions

  /** Values in a row, the last with all that it has. */
  #spread(values: Expression[]): string {
    return values
      .map((value, i) =>
        i === values.length - 1 && !this.#isSingle(value)
          ? `...all(${this.#raw(value)})`
          : this.#value(value).text,
      )
      .join(', ')
  }

  #isSingle(expression: Expression): boolean {
    if (expression.kind === 'rest') return false
    if (expression.kind !== 'call') return true
    if (expression.callee.kind === 'name') {
      const variable = this.#lookup(expression.callee.name)
      if (variable) return variable.single
    }
    const outside = this.#outside(expression.callee)
    return outside !== undefined && Object.hasOwn(singles, outside)
  }

  /** One value, or a list of them where a call returns that. */
  #raw(expression: Expression): string {
    if (expression.kind === 'rest') return this.#rest(expression.line)
    return expression.kind === 'call' ? this.#call(expression) : this.#value(expression).text
  }

  /** The list that stands for `...`. */
  #rest(line: number): string {
    const js = this.#lookup('...')?.js
    if (!js) throw new LuaSyntaxError("no '...' here", line)
    return js
  }

  #call({ callee, args, line }: Expression & { kind: 'call' }): string {
    const outside = this.#outside(callee)
    const list = this.#spread(args)
    if (outside === 'ipairs' || outside === 'pairs') {
      throw new LuaSyntaxError(`${outside} outside of a for`, line)
    }
    if (outside !== undefined) return `${this.#constant(outside, line)}(${list})`
    const variable = callee.kind === 'name' ? this.#lookup(callee.name) : undefined
    if (variable?.single) return `${variable.js}(${list})`
    return `call(${this.#value(callee).text})(${list})`
  }

  #value(expression: Expression): Code {
    switch (expression.kind) {
      case 'nil':
        return { text: 'undefined', kind: 'any' }
      case 'true':
      case 'false':
        return { text: expression.kind, kind: 'boolean' }
      case 'rest':
        return { text: `${this.#rest(expression.line)}[0]`, kind: 'any' }
      case 'number':
        return { text: String(expression.value), kind: 'number' }
      case 'string':
        return { text: JSON.stringify(expression.value), kind: 'string' }
      case 'paren':
        return this.#value(expression.inner)
      case 'function':
        return { text: `(${this.#function(expression.params, expression.body)})`, kind: 'any' }
      case 'table':
        return this.#table(expression)
      case 'name':
      case 'index':
        return this.#reference(expression)
      case 'call': {
        if (!this.#isSingle(expression))
          return { text: `first(${this.#call(expression)})`, kind: 'any' }
        const outside = this.#outside(expression.callee)
        return { text: this.#call(expression), kind: singles[outside ?? ''] ?? 'any' }
      }
      case 'unary':
        return this.#unary(expression.operator, expression.operand)
      case 'binary':
        return this.#binary(expression)
    }
  }

  #reference(expression: Expression & { kind: 'name' | 'index' }): Code {
    const outside = this.#outside(expression)
    if (outside !== undefined)
      return { text: this.#constant(outside, expression.line), kind: 'any' }
    if (expression.kind === 'name') return { text: this.#lookup(expression.name)!.js, kind: 'any' }
    const object = this.#value(expression.object).text
    return { text: `index(${object}, ${this.#value(expression.key).text})`, kind: 'any' }
  }

  #table({ list, pairs }: Expression & { kind: 'table' }): Code {
    const parts = [`[${this.#spread(list)}]`]
    for (const [key, value] of pairs) parts.push(this.#value(key).text, this.#value(value).text)
    return { text: `build(${parts.join(', ')})`, kind: 'any' }
  }

  #unary(operator: string, operand: Expression): Code {
    if (operator === 'not') return { text: `!${this.#test(operand)}`, kind: 'boolean' }
    const { text, kind } = this.#value(operand)
    if (operator === '#') return { text: `length(${text})`, kind: 'number' }
    return { text: kind === 'number' ? `(-${text})` : `(-num(${text}))`, kind: 'number' }
  }

  #binary(expression: Expression & { kind: 'binary' }): Code {
    const { operator } = expression
    if (operator === 'and' || operator === 'or') return this.#choice(expression)
    if (operator === '..') return this.#concatenation(expression)
    const left = this.#value(expression.left)
    const right = this.#value(expression.right)
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
    const { text, kind } = this.#value(expression)
    return kind === 'string' ? text : `text(${text})`
  }

  #choice({ operator, left, right }: Expression & { kind: 'binary' }): Code {
    const a = this.#value(left)
    if (a.kind === 'boolean') {
      const b = this.#value(right)
      const text = `(${a.text} ${operator === 'and' ? '&&' : '||'} ${b.text})`
      return { text, kind: b.kind === 'boolean' ? 'boolean' : 'any' }
    }
    const held = this.#temporary()
    const b = this.#value(right)
    const test = `truthy(${held} = ${a.text})`
    const text =
      operator === 'and' ? `(${test} ? ${b.text} : ${held})` : `(${test} ? ${held} : ${b.text})`
    return { text, kind: operator === 'or' && a.kind === b.kind ? a.kind : 'any' }
  }

  #test(expression: Expression): string {
    if (expression.kind === 'binary' && /^(?:and|or)$/.test(expression.operator)) {
      const sign = expression.operator === 'and' ? '&&' : '||'
      return `(${this.#test(expression.left)} ${sign} ${this.#test(expression.right)})`
    }
    if (expression.kind === 'paren') return this.#test(expression.inner)
    const { text, kind } = this.#value(expression)
    return kind === 'boolean' ? text : `truthy(${text})`
  }
}

/** Whether a body ends by a return, and all its returns are of one value that is no call. */
function isSingle(body: Statement[]): boolean {
  return body.at(-1)?.kind === 'return' && returnsOf(body).every(isOneValue)
}

function isOneValue(values: Expression[]): boolean {
  const [value] = values
  if (values.length !== 1 || !value || value.kind === 'rest') return false
  if (value.kind !== 'call') return true
  const { callee } = value
  if (callee.kind !== 'index' || callee.object.kind !== 'name' || callee.key.kind !== 'string') {
    return false
  }
  return Object.hasOwn(singles, `${callee.object.name}.${callee.key.value}`)
}

function returnsOf(body: Statement[]): Expression[][] {
  return body.flatMap((statement) => {
    switch (statement.kind) {
      case 'return':
        return [statement.values]
      case 'if':
        return [
          ...statement.clauses.flatMap(([, inner]) => returnsOf(inner)),
          ...returnsOf(statement.otherwise),
        ]
      case 'do':
      case 'while':
      case 'repeat':
      case 'for':
      case 'forIn':
        return returnsOf(statement.body)
      case 'local':
      case 'localFunction':
      case 'assign':
      case 'call':
      case 'break':
        return []
    }
  })
}
