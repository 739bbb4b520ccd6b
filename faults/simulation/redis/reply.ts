/** What commands answer, and what they refuse. Strings are byte strings, one character a byte. */

export type Reply = null | number | string | Status | Reply[]

/** A reply such as OK, which Lua tells from a string. */
export class Status {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export const OK = new Status('OK')

/** An error that Redis answers with; `name` is as in ioredis. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError'
}

/** A command or an option that the model does not know: a bug of ours, not an answer of Redis. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError'
}

export const wrongType = () =>
  new ReplyError('WRONGTYPE Operation against a key holding the wrong kind of value')
export const syntaxError = () => new ReplyError('ERR syntax error')

/** The usual case, without the cost of a regular expression: up to 15 digits, the first not 0. */
function isPlain(text: string): boolean {
  if (text.length === 0 || text.length > 15 || text.charCodeAt(0) === 48) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 48 || code > 57) return false
  }
  return true
}

/** @throws ReplyError where Redis would not take it for a 64-bit integer */
export function integer(
  text: string,
  message = 'ERR value is not an integer or out of range',
): number {
  if (isPlain(text)) return Number(text)
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(text)) throw new ReplyError(message)
  return Number(text)
}
