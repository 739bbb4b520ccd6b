/**
 * What people may change while a job runs: the limits of the fleet, pause, and that an executor goes.
 * Limits and pause are written to the control hash, by which the leading supervisor goes; an executor is
 * asked through its mailbox. Nothing is decided here. What was asked is logged, with who asked.
 */
import * as v from 'valibot'
import { type Keys, SUPERVISOR } from '../actors/keys.ts'
import type { Log } from '../actors/log.ts'
import { measure } from '../actors/measure.ts'
import { type Message, messageSchema } from '../actors/messages.ts'
import { quotaFields, type QuotaName } from '../actors/quota.ts'
import type { Store } from '../actors/redis.ts'
import { HttpError } from './errors.ts'

export interface ControlParts {
  store: Store
  keys: Keys
  log: Log
}

export interface Limits {
  min: number
  max: number
  /** How old a result may be; stays as it is where it is absent. */
  maxResultDelayMs?: number | undefined
}

/** Mailboxes are as short as those who read them keep them (supervisor/register.ts, the bridge). */
const mailboxKept = 16

/** All are absolute values, so writing one again after an outage changes nothing more. */
export async function setLimits(parts: ControlParts, limits: Limits, caller: string) {
  if (limits.min > limits.max) {
    throw new HttpError(400, 'bad_request', 'min must not be greater than max')
  }
  const given = Object.entries(limits).filter(([, value]) => value !== undefined)
  const fields = Object.fromEntries(given.map(([name, value]) => [name, String(value)]))
  await write(parts, fields)
  parts.log.info('control: limits', { ...limits, caller })
  return limits
}

/** 0 ends a quota. What the bridge waits for by the pace that was is forgotten with it. */
export async function setQuotas(
  parts: ControlParts,
  quotas: { [Name in QuotaName]?: number | undefined },
  caller: string,
) {
  const given = Object.entries(quotas).filter(([, value]) => value !== undefined)
  await write(
    parts,
    Object.fromEntries(
      given.map(([name, value]) => [quotaFields[name as QuotaName], String(value)]),
    ),
  )
  if (quotas.recordsPerSecond !== undefined) {
    for (const { quota } of parts.keys.shards) await parts.store.redis.hdel(quota, 'due')
  }
  parts.log.info('control: quotas', { ...quotas, caller })
  return quotas
}

export async function setPaused(parts: ControlParts, paused: boolean, caller: string) {
  await write(parts, { paused: paused ? '1' : '0' })
  parts.log.info(paused ? 'control: pause' : 'control: resume', { caller })
  return { paused }
}

/**
 * Asks one executor to finish what it has in hand and leave. Another one begins in its place where the
 * supervisor still wants as many.
 */
export async function drainExecutor(parts: ControlParts, id: string, caller: string) {
  await assertDrainable(parts, id)
  const { store, keys, log } = parts
  const drain: Message = { kind: 'drain', reason: 'drained by request' }
  // Its mailbox goes with it; one that is made anew would stay for ever.
  const sent = await send(store, keys.mailbox(id), drain, ['NOMKSTREAM'])
  if (sent === null) throw conflict('not_running', `${id} is just starting, or has just left`)
  await wake(store, keys)
  log.info('control: drain', { executor: id, caller })
  return { id, draining: true as const }
}

/** @throws HttpError for one that is not known, does not live, or was told already */
async function assertDrainable({ store, keys }: ControlParts, id: string): Promise<void> {
  const { actors } = await measure(store, keys)
  const actor = actors.find((one) => one.kind === 'executor' && one.id === id)
  if (!actor || actor.state === 'failed') {
    throw new HttpError(404, 'not_found', `there is no executor ${JSON.stringify(id)}`)
  }
  if (actor.state === 'stopped' || actor.state === 'dead' || !actor.alive) {
    throw conflict('not_running', `${id} is ${actor.state === 'stopped' ? 'stopped' : 'dead'}`)
  }
  // What it has not taken from its mailbox yet counts too: it may be busy.
  if (actor.state === 'draining' || (await wasTold(store, keys.mailbox(id)))) {
    throw conflict('already_draining', `${id} drains already`)
  }
}

async function wasTold(store: Store, mailbox: string): Promise<boolean> {
  const letters = await store.redis.xrange(mailbox, '-', '+', 'COUNT', mailboxKept)
  return letters.some(([, [, text]]) => {
    const letter = v.safeParse(v.pipe(v.string(), v.parseJson(), messageSchema), text)
    return letter.success && letter.output.kind === 'drain'
  })
}

async function write({ store, keys }: ControlParts, fields: Record<string, string>) {
  await store.redis.hset(keys.control, fields)
  await wake(store, keys)
}

/** A wake that is lost costs one poll interval. */
async function wake(store: Store, keys: Keys): Promise<void> {
  await send(store, keys.mailbox(SUPERVISOR), { kind: 'wake' })
}

function send(store: Store, mailbox: string, message: Message, options: string[] = []) {
  const args = [mailbox, ...options, 'MAXLEN', String(mailboxKept), '*', 'm']
  return store.redis.call('XADD', ...args, JSON.stringify(message))
}

const conflict = (code: string, message: string) => new HttpError(409, code, message)
