/**
 * How an answer of Kafka is put together: the socket's chunks are copied into one buffer of the answer's
 * length (buffers.ts), which kafkajs then takes as a whole. kafkajs itself keeps the chunks until it has
 * them all, and puts them together in fresh memory: with chunks that wait for the garbage collector,
 * a quarter of a bridge's time went into page faults.
 *
 * What is in one chunk, and what belongs to the handshake, goes kafkajs's own way.
 */
import Connection from 'kafkajs/src/network/connection'
import { Buffers } from './buffers.ts'

/** What large answers lie in; who has read one may give it back. */
export const answers = new Buffers()

type Assembly = NonNullable<Connection['assembly']>

const sizeBytes = 4
/** What says that it is larger is not believed before it is there. */
const sizeMax = 64 * 1024 * 1024

const pass = Connection.prototype.processData
Connection.prototype.processData = function receive(chunk) {
  const assembly = this.assembly?.socket === this.socket ? this.assembly : begin(this, chunk)
  if (!assembly) return pass.call(this, chunk)
  const { answer, filled } = assembly
  const count = Math.min(chunk.length, answer.length - filled)
  answer.set(count < chunk.length ? chunk.subarray(0, count) : chunk, filled)
  assembly.filled += count
  if (assembly.filled === answer.length) {
    this.assembly = undefined
    pass.call(this, answer)
  }
  if (count < chunk.length) this.processData(chunk.subarray(count))
  else discard(chunk)
}

/** The assembly of an answer that begins with this chunk and does not end in it. */
function begin(connection: Connection, chunk: Buffer): Assembly | undefined {
  if (connection.authHandlers || connection.bytesBuffered > 0) return undefined
  // An empty rest of the last answer would have kafkajs copy the next one.
  connection.chunks = []
  const size = chunk.length < sizeBytes ? 0 : sizeBytes + chunk.readInt32BE(0)
  if (size <= chunk.length || size > sizeMax) return undefined
  return (connection.assembly = {
    socket: connection.socket,
    answer: answers.take(size),
    filled: 0,
  })
}

/**
 * Frees the memory of a chunk that was copied, for the next one to have. The garbage collector would get
 * to it tens of megabytes later; who read it in spite of that would find it empty.
 */
function discard({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}
