import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { Server } from 'bun'
import { systemClock } from '../../../actors/clock.ts'
import { readSinks } from '../../../actors/sinks/accounts.ts'
import { signature, webhook, type WebhookOptions } from '../../../actors/sinks/webhook.ts'
import { until } from '../../../faults/until.ts'
import { rowsIn } from './found.ts'
import { openClosed, type Place, T } from './place.ts'

interface Taken {
  key: string
  signature: string
  text: string
  body: {
    job: string
    window: { start: string; end: string; state?: string; revision?: number; final?: boolean }
    part: number
    parts: number
    rows: unknown[]
  }
}

let it: Place
let server: Server<undefined>
let taken: Taken[]
/** What the receiver answers next; 204 where it is empty. */
let answers: (() => Response | Promise<Response>)[]
const secret = 'canary-of-the-signature'
const options: WebhookOptions = { urlFrom: 'TEST_HOOK', secretFrom: 'TEST_SECRET' }
const environment = () => ({
  TEST_HOOK: `http://user:hunter2@127.0.0.1:${server.port}/hook?token=hunter2`,
  TEST_SECRET: secret,
})

beforeEach(async () => {
  it = await openClosed('webhook')
  taken = []
  answers = []
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const text = await request.text()
      const header = (name: string) => request.headers.get(name) ?? ''
      const answer = await (answers.shift() ?? (() => new Response(null, { status: 204 })))()
      if (answer.ok) {
        const body = JSON.parse(text) as Taken['body']
        const [key, signed] = [header('Idempotency-Key'), header('Millrace-Signature')]
        taken.push({ key, signature: signed, text, body })
      }
      return answer
    },
  })
})
afterEach(async () => {
  await it.end()
  await server.stop(true)
})

const report = async () =>
  (await readSinks(it.store, it.keys, { sinks: [webhook(options)] }, Date.now()))[0]!
const rowsTaken = () =>
  rowsIn(taken.flatMap(({ body }) => body.rows.map((row) => JSON.stringify(row))))

test('posts each window, signed, in parts where it is large, each with a key of its own', async () => {
  await it.close(1)
  await it.close(1, 1_500)
  it.deliver(webhook(options), { environment: environment() })
  await until('three requests', () => taken.length === 3)
  expect(rowsTaken()).toEqual(await it.expected())
  expect(taken.map(({ body }) => [body.part, body.parts])).toEqual([
    [1, 1],
    [1, 2],
    [2, 2],
  ])
  expect(taken[0]!.body).toMatchObject({
    job: it.job.name,
    window: { start: new Date(T).toISOString(), end: new Date(T + 10_000).toISOString() },
  })
  expect(new Set(taken.map(({ key }) => key)).size).toBe(3)
  for (const one of taken) {
    const [, at, hash] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(one.signature) ?? []
    expect(hash!).toBe(signature(secret, Number(at), one.text))
  }
})

test('asks again where it is not taken, with the same key, and goes on where it was', async () => {
  answers = [
    () => new Response('busy', { status: 503 }),
    () => new Response('slow down', { status: 429, headers: { 'Retry-After': '1' } }),
    () => new Response(null, { status: 204 }),
    // The rows were taken, and the answer was lost.
    () => new Response(null, { status: 204 }),
  ]
  await it.close(3)
  const { delivery } = it.deliver(webhook(options), { environment: environment() })
  await until('all', () => taken.length === 3)
  expect(rowsTaken()).toEqual(await it.expected())
  await until('no complaint', async () => (await report()).lagWindows === 0)
  expect(delivery.complaint).toBeNull()
})

test('a window that is posted again has the key that it had', async () => {
  await it.close(1)
  const first = it.deliver(webhook(options), { environment: environment() })
  await until('the window', async () => (await report()).windows === 1)
  await first.end()
  // As where the process was killed between the answer and the position.
  await it.store.redis.del(it.keys.taken)
  it.deliver(webhook(options), { environment: environment() })
  await until('it again', () => taken.length === 2)
  expect(taken[1]!.key).toBe(taken[0]!.key)
  expect(taken[1]!.text).toBe(taken[0]!.text)
})

test('an answer that says no is no outage: it waits and says so, without secrets', async () => {
  const no = () => new Response('no such\nhook', { status: 404 })
  answers = [no, no, no, no]
  await it.close(1)
  const { delivery } = it.deliver(webhook(options), { environment: environment() })
  await until('a complaint', () => delivery.complaint)
  expect(delivery.complaint).toBe(
    `sink webhook: at http://127.0.0.1:${server.port}/hook refuses the window after none: it answers 404: no such hook; put it right, or let it be passed over with onRefusal`,
  )
  expect((await report()).state).toBe('refused')
  expect(JSON.stringify(await report())).not.toContain('hunter2')
  await until('it is taken', () => taken.length === 1)
})

test('a redirect is not followed', async () => {
  answers = Array.from({ length: 9 }, () => () => Response.redirect('http://127.0.0.1:1/', 307))
  await it.close(1)
  const { delivery } = it.deliver(webhook(options), { environment: environment() })
  await until('a complaint', () => delivery.complaint)
  expect(delivery.complaint).toContain('it answers 307')
})

test('what the environment lacks is told by its name', () => {
  const sink = webhook(options)
  expect(() => sink.address(it.job, { TEST_HOOK: 'ftp://x' })).toThrow('TEST_SECRET')
  const short = { TEST_HOOK: 'http://x/', TEST_SECRET: 'short' }
  expect(() => sink.address(it.job, short)).toThrow(
    'sink webhook: TEST_SECRET must be a secret of at least 16 characters',
  )
  expect(() => sink.address(it.job, { TEST_HOOK: 'ftp://x', TEST_SECRET: secret })).toThrow(
    'sink webhook: TEST_HOOK must be http://host/path or https://host/path',
  )
})

test('tells which telling of a window it is, each with a key of its own', async () => {
  const { job, store } = it
  const context = { job, store, clock: systemClock, log: null!, kept: null }
  const connection = await webhook(options).open({ ...context, environment: environment() })
  const telling = (revision: number, isOpen: boolean, isFinal: boolean) => ({
    start: T,
    end: T + 10_000,
    number: 1,
    position: `${revision}-0/1/${T}`,
    revision: { revision, isOpen, isFinal },
    rows: [
      {
        start: T,
        end: T + 10_000,
        group: '["a"]',
        key: { who: 'a' },
        values: { total: 1, events: 1 },
      },
    ],
  })
  const windows = [telling(0, true, false), telling(1, false, true)]
  const { position } = windows[1]!
  await connection.write({ expected: null, position, windows }, new AbortController().signal)
  await connection.close()
  const span = { start: new Date(T).toISOString(), end: new Date(T + 10_000).toISOString() }
  expect(taken.map(({ body }) => body.window)).toEqual([
    { ...span, state: 'open', revision: 0, final: false },
    { ...span, state: 'closed', revision: 1, final: true },
  ])
  expect(taken[1]!.body.rows[0]).toMatchObject({ state: 'closed', revision: 1, final: true })
  expect(new Set(taken.map(({ key }) => key)).size).toBe(2)
})
