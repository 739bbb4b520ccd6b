/**
 * A Redis in this process's memory: the simulation's model of it, which runs Millrace's own Lua, behind
 * what the readers of windows and the functions' callers ask of a connection.
 */
import { functionsOf, type Store } from '../actors/redis.ts'
import { type Argument, RedisModel } from '../faults/simulation/redis/redis.ts'

/** @param now epoch ms; the server's clock */
export function memoryStore(now: () => number): Store {
  const model = new RedisModel({ now })
  const send = async (command: unknown[]) => model.execute(command.map(argument))
  const sendBuffer = async (command: unknown[]) => model.executeBuffer(command.map(argument))
  const plain =
    (name: string) =>
    (...args: unknown[]) =>
      send([name, ...args])
  const bytes =
    (name: string) =>
    (...args: unknown[]) =>
      sendBuffer([name, ...args])
  const redis = {
    call: (...command: unknown[]) => send(command),
    callBuffer: (...command: unknown[]) => sendBuffer(command),
    hget: plain('HGET'),
    xrevrange: plain('XREVRANGE'),
    xinfo: plain('XINFO'),
    hscanBuffer: bytes('HSCAN'),
    xrangeBuffer: bytes('XRANGE'),
    xrevrangeBuffer: bytes('XREVRANGE'),
    hgetall: async (key: string) => pairs((await send(['HGETALL', key])) as string[]),
  }
  return {
    redis: redis as unknown as Store['redis'],
    ...functionsOf(redis),
    setNew: (key, value, expiryMs) => send(['SET', key, value, 'PX', expiryMs, 'NX']),
    close: () => Promise.resolve(),
  }
}

const argument = (value: unknown): Argument =>
  Buffer.isBuffer(value) || typeof value === 'string' ? value : String(value)

function pairs(flat: string[]): Record<string, string> {
  const fields: [string, string][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) fields.push([flat[i]!, flat[i + 1]!])
  return Object.fromEntries(fields)
}
