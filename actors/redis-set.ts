/**
 * A large value on its way to Redis as it lies in memory. ioredis puts the arguments of a command that has
 * a Buffer together in fresh memory; here the socket gets the value itself, between the bytes in front of
 * it and behind it. All else is ioredis's: the command's place among the others, its reply, its limits.
 *
 * The value must not change before the reply: until then some of it may not be sent.
 */
import { type Cluster, Command, type Redis } from 'ioredis'

/** Sets the key for so many ms, where it has no value. */
export function setNew(
  redis: Pick<Redis | Cluster, 'sendCommand'>,
  key: string,
  value: Buffer,
  expiryMs: number,
): Promise<unknown> {
  return redis.sendCommand(new SetNew(key, value, expiryMs)) as Promise<unknown>
}

class SetNew extends Command {
  readonly #value: Buffer
  readonly #head: string
  readonly #tail: string

  constructor(key: string, value: Buffer, expiryMs: number) {
    super('set', [key, value, 'PX', expiryMs, 'NX'], { replyEncoding: 'utf8' })
    this.#value = value
    this.#head = `*6\r\n${bulk('SET')}${bulk(key)}$${value.length}\r\n`
    this.#tail = `\r\n${bulk('PX')}${bulk(String(expiryMs))}${bulk('NX')}`
  }

  /** ioredis asks for a command's bytes when it writes them, and writes what is returned at once. */
  override toWritable(socket: NodeJS.WritableStream): string {
    socket.write(this.#head)
    socket.write(this.#value)
    return this.#tail
  }
}

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`
