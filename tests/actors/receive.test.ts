/** Answers of Kafka in chunks as the network cuts them. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import Connection from 'kafkajs/src/network/connection'
import { answers } from '../../actors/receive.ts'

interface Answer {
  id: number
  payload: Buffer
}

/** A connection without a network; `heard` are the answers that kafkajs was given. */
function connection() {
  const heard: Answer[] = []
  const it = Object.assign(Object.create(Connection.prototype) as Connection, {
    socket: {},
    chunks: [],
    bytesBuffered: 0,
    bytesNeeded: 4,
    authHandlers: null,
    requestQueue: {
      fulfillRequest: ({ correlationId, payload }: { correlationId: number; payload: Buffer }) =>
        void heard.push({ id: correlationId, payload }),
    },
  })
  return { it, heard }
}

function encode({ id, payload }: Answer): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + payload.length, 0)
  head.writeInt32BE(id, 4)
  return Buffer.concat([head, payload])
}

/** Each chunk in memory of its own, as the socket brings it. */
const own = (chunk: Buffer): Buffer => {
  const copy = Buffer.allocUnsafeSlow(chunk.length)
  copy.set(chunk)
  return copy
}

function cut(bytes: Buffer, lengths: number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!
    chunks.push(own(bytes.subarray(at, at + length)))
    at += length
  }
  return chunks
}

const answer = (id: number, length: number): Answer => ({
  id,
  payload: Buffer.alloc(length, id + 1),
})

describe('answers of Kafka', () => {
  test('are what was sent, however they are cut into chunks, and whenever memory is given back', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 })
    const sizes = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(sizes, lengths, fc.boolean(), (payloads, chunks, giveBack) => {
        const { it, heard } = connection()
        const sent = payloads.map((length, id) => answer(id, length))
        const seen: Answer[] = []
        for (const chunk of cut(Buffer.concat(sent.map(encode)), chunks)) {
          it.processData(chunk)
          if (!giveBack) continue
          for (const { id, payload } of heard.splice(0)) {
            seen.push({ id, payload: Buffer.from(payload) })
            answers.giveBack(payload)
          }
        }
        expect([...seen, ...heard]).toEqual(sent)
      }),
    )
  })

  test('lie in memory that is used again after it was given back, and not before', () => {
    const { it, heard } = connection()
    const receive = (id: number) => {
      for (const chunk of cut(encode(answer(id, 1_000)), [300])) it.processData(chunk)
      return heard.at(-1)!.payload
    }
    const [first, second] = [receive(1), receive(2)]
    expect(second.buffer).not.toBe(first.buffer)
    expect(first).toEqual(answer(1, 1_000).payload)
    answers.giveBack(first)
    expect(receive(3).buffer).toBe(first.buffer)
    expect(second).toEqual(answer(2, 1_000).payload)
  })

  test('begin anew with the connection', () => {
    const { it, heard } = connection()
    it.processData(own(encode(answer(1, 100)).subarray(0, 50)))
    it.socket = {}
    it.processData(encode(answer(2, 100)))
    expect(heard).toEqual([answer(2, 100)])
  })

  test('of a handshake are left to kafkajs', () => {
    const { it, heard } = connection()
    const raw: Buffer[] = []
    const handlers = { onSuccess: (bytes: Buffer) => void raw.push(bytes) }
    Object.assign(it, { authHandlers: handlers, authExpectResponse: true })
    const bytes = encode(answer(1, 100))
    for (const chunk of cut(bytes, [30])) it.processData(chunk)
    expect(raw).toEqual([bytes])
    expect(heard).toEqual([])
  })
})
