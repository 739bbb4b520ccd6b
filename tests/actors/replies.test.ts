/** Replies of Redis in chunks as the network cuts them. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ReplyError } from 'ioredis'
import { payloads, Replies } from '../../actors/replies.ts'

type Reply = string | number | null | Error | Reply[]

function encode(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n')
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`)
  if (reply instanceof Error) return Buffer.from(`-${reply.message}\r\n`)
  if (typeof reply === 'string') {
    return Buffer.from(`$${Buffer.byteLength(reply)}\r\n${reply}\r\n`)
  }
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(encode)])
}

/** Each chunk in memory of its own, as the socket brings it. */
function cut(bytes: Buffer, lengths: number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const part = bytes.subarray(at, at + lengths[i % lengths.length]!)
    const chunk = Buffer.allocUnsafeSlow(part.length)
    chunk.set(part)
    chunks.push(chunk)
    at += part.length
  }
  return chunks
}

/** What was heard, with strings for their bytes. */
function listener() {
  const heard: unknown[] = []
  const plain = (value: unknown): unknown => {
    if (Buffer.isBuffer(value)) return value.toString()
    if (value instanceof ReplyError) return new Error((value as Error).message)
    return Array.isArray(value) ? value.map(plain) : value
  }
  return {
    heard,
    onReply: (value: unknown) => void heard.push(plain(value)),
    onErrorReply: (error: unknown) => void heard.push({ refused: plain(error) }),
  }
}

const asHeard = (reply: Reply): unknown => (reply instanceof Error ? { refused: reply } : reply)

const { reply } = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.integer(),
    fc.constant(null),
    fc.stringMatching(/^[A-Z]{1,8} [a-z ]{0,30}$/).map((message) => new Error(message)),
    fc.array(tie('reply'), { maxLength: 4 }),
  ),
}))

const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 })

describe('replies of Redis', () => {
  test('are what was sent, however they are cut into chunks', () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 6 }), lengths, (sent, sizes) => {
        const it = listener()
        const replies = new Replies(it)
        for (const chunk of cut(Buffer.concat(sent.map(encode)), sizes)) {
          expect(replies.take(chunk)).toBe(null)
        }
        expect(it.heard).toEqual(sent.map(asHeard))
      }),
    )
  })

  test('of statuses, of an array that is none, and of whole numbers with a sign', () => {
    const it = listener()
    const bytes = Buffer.from('+OK\r\n*-1\r\n*0\r\n:+5\r\n:-7\r\n+\r\n$0\r\n\r\n')
    new Replies(it).take(bytes)
    expect(it.heard).toEqual(['OK', null, [], 5, -7, '', ''])
  })

  test('that are large lie in memory that is used again after it was given back, and not before', () => {
    const heard: Buffer[] = []
    const replies = new Replies({
      onReply: (value: Buffer) => void heard.push(value),
      onErrorReply: fail,
    })
    const receive = (letter: string) => {
      for (const chunk of cut(encode(letter.repeat(200_000)), [60_000])) replies.take(chunk)
      return heard.at(-1)!
    }
    const [first, second] = [receive('a'), receive('b')]
    expect(second.buffer).not.toBe(first.buffer)
    expect(first.equals(Buffer.alloc(200_000, 'a'))).toBe(true)
    payloads.giveBack(first)
    const third = receive('c')
    expect(third.buffer).toBe(first.buffer)
    expect(third.equals(Buffer.alloc(200_000, 'c'))).toBe(true)
    expect(second.equals(Buffer.alloc(200_000, 'b'))).toBe(true)
  })

  test('leave no chunk in memory that was copied whole, and touch none that holds another reply', () => {
    const heard: Buffer[] = []
    const replies = new Replies({
      onReply: (value: Buffer) => void heard.push(value),
      onErrorReply: fail,
    })
    const sent = ['before', 'x'.repeat(200_000), 'behind']
    const chunks = cut(Buffer.concat(sent.map(encode)), [60_000])
    for (const chunk of chunks) replies.take(chunk)
    expect(chunks.map(({ length }) => length > 0)).toEqual([true, false, false, true])
    expect(heard.map(String)).toEqual(sent)
  })

  test('of another protocol are handed on from their first byte', () => {
    const it = listener()
    const rest = new Replies(it).take(Buffer.from('+OK\r\n%1\r\n+a\r\n:1\r\n'))
    expect(it.heard).toEqual(['OK'])
    expect(rest?.toString()).toBe('%1\r\n+a\r\n:1\r\n')
  })

  test('that are none are refused', () => {
    expect(() => new Replies(listener()).take(Buffer.from('*1\r\n?\r\n'))).toThrow(/no type/)
  })
})

const fail = (error: unknown) => {
  throw error
}
