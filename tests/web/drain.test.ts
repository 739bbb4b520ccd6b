/**
 * POST /api/executors/:id/drain: who is asked, who is not, and what is told of it.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { createLog } from '../../actors/log.ts'
import type { Actor, Message } from '../../actors/messages.ts'
import { openWeb, post, type Web } from './setup.ts'

const token = 'canary-4711-canary'

let web: Web
let lines: string[]
beforeEach(async () => {
  lines = []
  const log = createLog('web', 'debug', (line) => void lines.push(line), false)
  web = await openWeb('drain', { log, token })
})
afterEach(() => web.end())

const drain = async (id: string, headers = { Authorization: `Bearer ${token}` }) =>
  web.json(`/api/executors/${id}/drain`, post({}, headers))

/** An executor with its mailbox, as one that has come to work. */
async function executor(id: string, account: Partial<Actor> = {}, leaseMs?: number) {
  const { actor, store, keys } = web.seeded
  await actor({ id, kind: 'executor', ...account }, leaseMs)
  await store.call('enter', keys.base, [id])
}

async function mailOf(id: string): Promise<Message[]> {
  const { store, keys } = web.seeded
  const letters = await store.redis.xrange(keys.mailbox(id), '-', '+')
  return letters.map(([, [, text]]) => JSON.parse(text!) as Message)
}

test('one at work is told, and so is the supervisor; nobody else', async () => {
  await executor('e1')
  await executor('e2')
  expect(await drain('e1')).toEqual({ status: 200, body: { id: 'e1', draining: true } })
  expect(await mailOf('e1')).toEqual([{ kind: 'drain', reason: 'drained by request' }])
  expect(await mailOf('e2')).toEqual([])
  expect(await mailOf('supervisor')).toEqual([{ kind: 'wake' }])
})

test('what was asked is logged with who asked, and never the token', async () => {
  await executor('e1')
  await drain('e1')
  await web.json('/api/executors', post({ min: 1, max: 3 }, { Authorization: `Bearer ${token}` }))
  await web.json('/api/pause', post({}, { Authorization: `Bearer ${token}` }))
  await web.json('/api/resume', post({}, { Authorization: `Bearer ${token}` }))
  await drain('e1', { Authorization: 'Bearer wrong' })
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const by = { level: 'info', caller: '127.0.0.1' }
  expect(told).toMatchObject([
    { event: 'control: drain', executor: 'e1', ...by },
    { event: 'control: limits', min: 1, max: 3, ...by },
    { event: 'control: pause', ...by },
    { event: 'control: resume', ...by },
    { event: 'control: refused', code: 'token_needed', ...by, level: 'warn' },
  ])
  expect(lines.join('')).not.toContain('canary')
})

describe('is refused', () => {
  const refusal = async (id: string) => {
    const { status, body } = await drain(id)
    expect(await mailOf('supervisor')).toEqual([])
    return [status, body.error?.code, body.error?.message]
  }

  test('for one that nobody knows, and for what is no executor', async () => {
    await web.seeded.actor({ id: 'bridge-1', kind: 'bridge' })
    // What stands for a kind that was given up.
    await web.seeded.actor({ id: 'executor', kind: 'executor', state: 'failed' })
    for (const id of ['nobody', 'bridge-1', 'executor']) {
      expect(await refusal(id)).toEqual([404, 'not_found', `there is no executor "${id}"`])
    }
    expect(await refusal('a%2Fb%22')).toEqual([
      404,
      'not_found',
      String.raw`there is no executor "a/b\""`,
    ])
  })

  test.each(['stopped', 'dead'] as const)('for one that is %s', async (state) => {
    await executor('e1', { state, stoppedAt: systemClock.now() })
    expect(await refusal('e1')).toEqual([409, 'not_running', `e1 is ${state}`])
  })

  test('for one whose heartbeats stopped', async () => {
    await executor('e1', {}, 0)
    expect(await refusal('e1')).toEqual([409, 'not_running', 'e1 is dead'])
  })

  test('for one that drains, or has been told and not heard it yet', async () => {
    await executor('e1', { state: 'draining' })
    expect(await refusal('e1')).toEqual([409, 'already_draining', 'e1 drains already'])
    await executor('e2')
    const { store, keys } = web.seeded
    const told: Message = { kind: 'drain', reason: 'the backlog is gone' }
    await store.redis.xadd(keys.mailbox('e2'), '*', 'm', JSON.stringify(told))
    expect(await refusal('e2')).toEqual([409, 'already_draining', 'e2 drains already'])
    expect(await mailOf('e2')).toHaveLength(1)
  })

  test('for one that leaves at this moment: no mailbox is made that nobody would read', async () => {
    await web.seeded.actor({ id: 'e1', kind: 'executor' })
    expect((await refusal('e1'))[1]).toBe('not_running')
    const { store, keys } = web.seeded
    expect(await store.redis.exists(keys.mailbox('e1'))).toBe(0)
  })

  test('without the token, from another origin, with another type', async () => {
    await executor('e1')
    const own = { Authorization: `Bearer ${token}` }
    for (const [status, headers] of [
      [401, {}],
      [401, { Authorization: 'Bearer wrong' }],
      [403, { ...own, Origin: 'http://evil.example' }],
      [403, { ...own, 'Sec-Fetch-Site': 'cross-site' }],
      [415, { ...own, 'Content-Type': 'text/plain' }],
    ] as const) {
      const init = post({}, headers)
      expect((await web.json('/api/executors/e1/drain', init)).status).toBe(status)
    }
    expect(await mailOf('e1')).toEqual([])
  })
})
