/**
 * What of a record a job's own code can reach: the fields that its functions name. An executor reads
 * those alone from a record's bytes, as far as it can tell (executor/scan.ts); where it can't be told,
 * the code sees the whole record.
 *
 * A function is understood by its text, and only where that leaves no doubt: one plain parameter, or one
 * taken apart into names, that is followed by `.name` wherever it stands; a second one may follow. Pure.
 */

/**
 * Marks a function that we made of a field's name with the name. Of the whole process: an actor that was
 * compiled and the job's file, which loads this file anew, must agree on it.
 */
const FIELD = Symbol.for('millrace.field')

const fieldOf = (reader: object): string | undefined => (reader as { [FIELD]?: string })[FIELD]

/**
 * A function that gives a record's field. Compiled, because engines remember for each place in the
 * code where the field was found last: one place for all fields would be found anew each time.
 */
export function fieldReader(name: string): (record: unknown) => unknown {
  // Only a name of the job's own gets into the code, as a string literal.
  // oxlint-disable-next-line typescript/no-implied-eval
  const reader = new Function('record', `return record[${JSON.stringify(name)}]`) as (
    record: unknown,
  ) => unknown
  return Object.assign(reader, { [FIELD]: name })
}

/** A function's text, as Bun has it after TypeScript's types and comments are gone; of ours, the field's name. */
export function sourceOf(reader: (record: never, meta: never) => unknown): string {
  const name = fieldOf(reader)
  return name === undefined ? Function.prototype.toString.call(reader) : JSON.stringify(name)
}

/**
 * Whether a function can reach its second argument, what Kafka says of the record. Also where that is
 * not clear.
 */
export function reachesMeta(reader: (record: never, meta: never) => unknown): boolean {
  if (fieldOf(reader) !== undefined) return false
  const source = Function.prototype.toString.call(reader)
  if (hidden.test(source)) return true
  const found = signature.exec(source)
  return !found || found[3] !== undefined
}

/** The fields of its first argument that a function can reach; null where that is not clear. */
export function fieldsReached(
  reader: (record: never, meta: never) => unknown,
): ReadonlySet<string> | null {
  const name = fieldOf(reader)
  if (name !== undefined) return new Set([name])
  const source = Function.prototype.toString.call(reader)
  if (hidden.test(source)) return null
  const [, one, several, , body] = signature.exec(source) ?? []
  if (body === undefined) return null
  return one === undefined ? namesIn(several!) : fieldsNamed(one, body)
}

const identifier = String.raw`[A-Za-z_$][\w$]*`

/** Escapes can hide a name; the others reach an argument without naming it. */
const hidden = /\\|\barguments\b|\beval\b|^async\b|\[native code\]/

/** `x => …`, `(x) => …`, `(x, meta) => …`, `({ a, b }) => …`, `function f(x) { … }` and `f(x) { … }`. */
const signature = new RegExp(
  String.raw`^(?:(?:function\b)?\s*(?:${identifier})?\s*\(|\(|(?=${identifier}\s*=>))\s*` +
    String.raw`(?:(${identifier})|\{([\w$\s,]*)\})` +
    String.raw`(?:\s*,\s*(${identifier}|\{[\w$\s,:]*\}))?\s*,?\s*(?:\)\s*(?:=>|\{)|=>)([^]*)$`,
)

function namesIn(list: string): ReadonlySet<string> {
  const names = list.split(',').map((name) => name.trim())
  return new Set(names.filter((name) => name !== ''))
}

function fieldsNamed(parameter: string, body: string): ReadonlySet<string> | null {
  const name = parameter.replaceAll('$', String.raw`\$`)
  // Behind one point it is a field of that name; behind three, a copy.
  const places = new RegExp(String.raw`(?<![\w$]|[^.]\.)${name}(?![\w$])`, 'g')
  const field = new RegExp(String.raw`\s*\??\.\s*(${identifier})`, 'y')
  const fields = new Set<string>()
  for (const place of body.matchAll(places)) {
    field.lastIndex = place.index + parameter.length
    const found = field.exec(body)
    if (!found) return null
    fields.add(found[1]!)
  }
  return fields
}
