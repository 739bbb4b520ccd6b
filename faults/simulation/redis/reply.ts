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

/** @throws ReplyError where Redis would not take it for a 64-bit integer */
export function integer(
  text: string,
  message = 'ERR value is not an integer or out of range',
): number {
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(text)) throw new ReplyError(message)
  return Number(text)
}
