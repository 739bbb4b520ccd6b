/**
 * Lua to JavaScript: one source becomes one JavaScript function, made once and run by each model.
 * Every Lua local becomes a `let` of its own name; calls and operators whose operands' types are
 * not known go through operators.ts; names of libraries are looked up while translating.
 */
import { Expressions } from './expressions.ts'
import { library } from './library.ts'
import * as operators from './operators.ts'
import { isSingle } from './returns.ts'
import { type Expression, parse, type Statement } from './syntax.ts'
import type { Value, Values } from './table.ts'
import { LuaSyntaxError } from './tokens.ts'

/** What a source finds in its surroundings besides Lua's own libraries. */
export type Globals = Record<string, Value>

export type Chunk = (globals: Globals) => Values

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

class Translator extends Expressions {
  #loops = 0

  chunk(statements: Statement[]): string {
    const body = this.#functionBody(statements)
    const constants = [...this.constants.values()].join('\n')
    return `'use strict'\n${constants}\n${body}`
  }

  #functionBody(statements: Statement[]): string {
    const outer = { temporaries: this.temporaries, loops: this.#loops }
    this.temporaries = []
    this.#loops = 0
    const body = this.scoped(() => {
      const text = this.#block(statements)
      return statements.at(-1)?.kind === 'return' ? text : `${text}\nreturn none;`
    })
    const declared = this.temporaries.length > 0 ? `let ${this.temporaries.join(', ')};\n` : ''
    this.temporaries = outer.temporaries
    this.#loops = outer.loops
    return declared + body
  }

  protected function(params: string[], body: Statement[]): string {
    return this.scoped(() => {
      const names = params.map((name) =>
        name === '...' ? `...${this.declare(name)}` : this.declare(name),
      )
      // The rest is that of the innermost function alone.
      if (!params.includes('...')) this.scopes.at(-1)!.set('...', { js: '', single: false })
      return `(${names.join(', ')}) => {\n${this.#functionBody(body)}\n}`
    })
  }

  #block(statements: Statement[]): string {
    return statements.map((statement) => this.#statement(statement)).join('\n')
  }

  #inner(statements: Statement[]): string {
    return this.scoped(() => this.#block(statements))
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
        const js = this.declare(statement.name, isSingle(statement.body))
        return `const ${js} = ${this.function(statement.params, statement.body)};`
      }
      case 'assign':
        return this.#assign(statement.targets, statement.values)
      case 'call':
        return `${this.raw(statement.call)};`
      case 'do':
        return `{\n${this.#inner(statement.body)}\n}`
      case 'while':
        return `while (${this.test(statement.condition)}) {\n${this.#loop(statement.body)}\n}`
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
      const value = values[0] ? ` = ${this.value(values[0]).text}` : ''
      return `let ${this.declare(names[0]!)}${value};`
    }
    const { before, texts } = this.#adjust(values, names.length)
    const declared = names.map((name, i) => `${this.declare(name)} = ${texts[i]}`)
    return `${before}let ${declared.join(', ')};`
  }

  /** As many values as there are names. */
  #adjust(values: Expression[], wanted: number): { before: string; texts: string[] } {
    const last = values.at(-1)
    if (!last || values.length >= wanted || this.isSingle(last)) {
      const texts = values.map((value) => this.value(value).text)
      // Values beyond the names are evaluated and dropped.
      const extra = texts.splice(wanted).map((text) => `${text};\n`)
      while (texts.length < wanted) texts.push('undefined')
      return { before: extra.join(''), texts }
    }
    const texts = values.slice(0, -1).map((value) => this.value(value).text)
    const list = this.fresh()
    const before = `const ${list} = all(${this.raw(last)});\n`
    for (let i = 0; texts.length < wanted; i++) texts.push(`${list}[${i}]`)
    return { before, texts }
  }

  #assign(targets: Expression[], values: Expression[]): string {
    if (targets.length === 1 && values.length === 1) {
      return this.#store(targets[0]!, this.value(values[0]!).text)
    }
    const { before, texts } = this.#adjust(values, targets.length)
    const held = texts.map((text) => [this.fresh(), text] as const)
    const declared = held.map(([name, text]) => `const ${name} = ${text};`).join('\n')
    const stores = targets.map((target, i) => this.#store(target, held[i]![0])).join('\n')
    return `{\n${before}${declared}\n${stores}\n}`
  }

  #store(target: Expression, text: string): string {
    if (target.kind === 'index') {
      const object = this.value(target.object).text
      return `setIndex(${object}, ${this.value(target.key).text}, ${text});`
    }
    const variable = target.kind === 'name' ? this.lookup(target.name) : undefined
    if (!variable) throw new LuaSyntaxError('assigns to a global', target.line)
    if (variable.single) throw new LuaSyntaxError('assigns to a local function', target.line)
    return `${variable.js} = ${text};`
  }

  #repeat(body: Statement[], condition: Expression): string {
    return this.scoped(() => {
      this.#loops++
      const text = this.#block(body)
      this.#loops--
      return `for (;;) {\n${text}\nif (${this.test(condition)}) break;\n}`
    })
  }

  #if(clauses: [Expression, Statement[]][], otherwise: Statement[]): string {
    const text = clauses
      .map(([condition, body]) => `if (${this.test(condition)}) {\n${this.#inner(body)}\n}`)
      .join(' else ')
    return otherwise.length > 0 ? `${text} else {\n${this.#inner(otherwise)}\n}` : text
  }

  #for({ name, from, to, step, body }: Statement & { kind: 'for' }): string {
    const [at, end, by] = [this.fresh(), this.fresh(), this.fresh()]
    const bound = (expression: Expression) => {
      const { text, kind } = this.value(expression)
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
    return this.scoped(() => {
      const js = this.declare(name)
      return `for (${head}; ${test}; ${at} += ${by}) {\nlet ${js} = ${at};\n${this.#loop(body)}\n}`
    })
  }

  #forIn({ names, values, body, line }: Statement & { kind: 'forIn' }): string {
    const [source] = values
    const iterator =
      values.length === 1 && source?.kind === 'call' ? this.outside(source.callee) : undefined
    if (source?.kind === 'call' && (iterator === 'ipairs' || iterator === 'pairs')) {
      if (source.args.length !== 1 || names.length > 2) {
        throw new LuaSyntaxError(`${iterator} with more than one argument or two names`, line)
      }
      return this.#forPairs(iterator, this.value(source.args[0]!).text, names, body)
    }
    const [step, state, control, list] = Array.from({ length: 4 }, () => this.fresh())
    const { before, texts } = this.#adjust(values, 3)
    return this.scoped(() => {
      const js = names.map((name) => this.declare(name))
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
    const [table, at, value] = [this.fresh(), this.fresh(), this.fresh()]
    return this.scoped(() => {
      const [key, item] = names.map((name) => this.declare(name))
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
    if (values.length === 1) return `return ${this.raw(values[0]!)};`
    return `return [${this.spread(values)}];`
  }
}
