/**
 * What people may change while a job runs: the limits of the fleet, and pause. It is written to the
 * control hash, by which the leading supervisor goes; nothing is decided here.
 */
import { SUPERVISOR, type Keys } from '../actors/keys.ts'
import type { Message } from '../actors/messages.ts'
import type { Store } from '../actors/redis.ts'
import { HttpError } from './errors.ts'

export interface Limits {
  min: number
  max: number
  /** How old a result may be; stays as it is where it is absent. */
  maxResultDelayMs?: number | undefined
}

/** All are absolute values, so writing one again after an outage changes nothing more. */
export async function setLimits(store: Store, keys: Keys, limits: Limits) {
  if (limits.min > limits.max) {
    throw new HttpError(400, 'bad_request', 'min must not be greater than max')
  }
  const given = Object.entries(limits).filter(([, value]) => value !== undefined)
  await write(store, keys, Object.fromEntries(given.map(([name, value]) => [name, String(value)])))
  return limits
}

export async function setPaused(store: Store, keys: Keys, paused: boolean) {
  await write(store, keys, { paused: paused ? '1' : '0' })
  return { paused }
}

async function write(store: Store, keys: Keys, fields: Record<string, string>): Promise<void> {
  await store.redis.hset(keys.control, fields)
  const wake: Message = { kind: 'wake' }
  // The mailbox is as short as the bridge keeps it; a wake that is lost costs one poll interval.
  const mailbox = keys.mailbox(SUPERVISOR)
  await store.redis.xadd(mailbox, 'MAXLEN', 16, '*', 'm', JSON.stringify(wake))
}
