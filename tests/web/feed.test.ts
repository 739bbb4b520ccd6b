import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { readConfig } from '../../actors/config.ts'
import { openStore } from '../../actors/redis.ts'
import { freePort } from '../../services/ports.ts'
import { recordDecision, recordEffect } from '../../supervisor/decisions.ts'
import { LISTENERS_MOST } from '../../web/feed.ts'
import { decisionSchema, statusSchema } from '../../web/schemas.ts'
import { windowSchema } from '../../web/window-schemas.ts'
import { until } from '../../faults/until.ts'
import { silentLog } from './seed.ts'
import { openWeb, type Web } from './setup.ts'

const T = 1_700_000_000_000
const record = (who: string, loc = 1) => ({ at: T, group: [who, 'on'], fields: { loc } })

interface Event {
  name: string
  data: unknown
}

/** What one listener got so far; `leave` ends it as a browser would. */
async function listen(web: Web) {
  const response = await web.ask('/api/events')
  const events: Event[] = []
  const reader = response.body!.getReader()
  const reading = (async () => {
    const decoder = new TextDecoder()
    let text = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      text += decoder.decode(value, { stream: true })
      const parts = text.split('\n\n')
      text = parts.pop()!
      for (const part of parts) {
        const [, name, data] = /^event: (\S+)\ndata: (.*)$/s.exec(part) ?? []
        if (name && data) events.push({ name, data: JSON.parse(data) as unknown })
      }
    }
  })()
  const of = (name: string) => events.filter((event) => event.name === name).map(({ data }) => data)
  const leave = async () => {
    await reader.cancel()
    await reading
  }
  return { response, events, of, leave, reading }
}

let web: Web
beforeEach(async () => {
  web = await openWeb('feed')
})
afterEach(() => web.end())

const decide = (to: number) =>
  recordDecision(web.seeded.store, web.seeded.keys, {
    at: T + to,
    from: to - 1,
    to,
    reason: 'backlog',
    sentence: `to ${to}`,
    inputs: {},
  })

describe('GET /api/events', () => {
  test('gives a newcomer everything, then what changes', async () => {
    await web.seeded.records([record('a')])
    await decide(1)
    const listener = await listen(web)
    expect(listener.response.headers.get('content-type')).toContain('text/event-stream')
    await until('the first look', () => listener.of('window').length === 2)
    v.parse(statusSchema, listener.of('status')[0])
    expect(listener.of('total')).toMatchObject([{ groups: 1 }, { groups: 1 }])
    expect(listener.of('heartbeat')).toHaveLength(1)
    expect(listener.of('decision').map((each) => v.parse(decisionSchema, each).to)).toEqual([1])
    await decide(2)
    await decide(3)
    await web.seeded.records([record('a', 5)])
    await until('the changes', () => listener.of('window').length >= 4)
    const last = v.parse(windowSchema, listener.of('window').at(-1))
    expect(last).toMatchObject({ state: 'open', values: { total: 6, events: 2 } })
    await until('the decisions', () => listener.of('decision').length === 3)
    expect(listener.of('decision').map((each) => v.parse(decisionSchema, each).to)).toEqual([
      1, 2, 3,
    ])
    const { id } = v.parse(decisionSchema, listener.of('decision')[1])
    await recordEffect(web.seeded.store, web.seeded.keys, { id, direction: 'out', ms: 420 })
    await until('its effect', () => listener.of('decision').length === 4)
    expect(listener.of('decision')[3]).toMatchObject({ id, to: 2, effectMs: 420 })
    await web.seeded.closeTo(T + 10_000)
    await until('the closed rows', () =>
      listener.of('window').some((row) => v.parse(windowSchema, row).state === 'closed'),
    )
    await listener.leave()
  })

  test('says an outage and goes on beating', async () => {
    const config = readConfig({ REDIS_URL: `redis://127.0.0.1:${await freePort()}` })
    const away = await openWeb('feed-away', { store: openStore(config, silentLog) })
    const listener = await listen(away)
    await until('an outage', () => listener.of('outage').length > 1)
    expect(listener.of('outage')[0]).toMatchObject({ code: 'redis_unavailable' })
    expect(listener.of('heartbeat').length).toBeGreaterThan(0)
    await listener.leave()
    await away.end()
  })

  test('beats at least every 5 s', async () => {
    const slow = await openWeb('feed-slow', { tickMs: 1_000 })
    const listener = await listen(slow)
    await until('a second heartbeat', () => listener.of('heartbeat').length === 2, {
      timeoutMs: 5_000,
    })
    await listener.leave()
    await slow.end()
  })

  test('is for 32 at most, and looks only while somebody listens', async () => {
    const listeners = await Promise.all(Array.from({ length: LISTENERS_MOST }, () => listen(web)))
    const refused = await web.ask('/api/events')
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ error: { code: 'too_many_listeners' } })
    await Promise.all(listeners.map((listener) => listener.leave()))
    expect(web.feed.size).toBe(0)
    await web.feed.close()
    const again = await listen(web)
    await until('a look', () => again.of('status').length > 0)
    await again.leave()
  })

  test('ends its streams when it closes', async () => {
    const listener = await listen(web)
    await until('a look', () => listener.of('status').length > 0)
    await web.feed.close()
    await listener.reading
    expect(web.feed.size).toBe(0)
  })
})
