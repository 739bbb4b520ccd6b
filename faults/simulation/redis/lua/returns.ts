/** Which functions return exactly one value, so that their callers need not look. */
import { singles } from './library.ts'
import type { Expression, Statement } from './syntax.ts'

/** Whether a body ends by a return, and all its returns are of one value that is no call. */
export function isSingle(body: Statement[]): boolean {
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
