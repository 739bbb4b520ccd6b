/**
 * What one asker can cost: rows of an answer, listeners of the event stream, looks at Redis.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { until } from '../../faults/until.ts'
import { createStatusReader, type StatusReader } from '../../supervisor/status-reader.ts'
import { LISTENERS_MOST } from '../../web/feed.ts'
import { ROWS_MOST } from '../../web/queries.ts'
import { openWeb, type Web } from './setup.ts'

const T = 1_700_000_000_000

let web: Web
beforeEach(async () => {
  web = await openWeb('limits')
})
afterEach(() => web.end())

test('an answer has 1,000 rows at the most, and says that there are more', async () => {
  const { records, store, keys } = web.seeded
  const many = Array.from({ length: ROWS_MOST + 1 }, (_, n) => n)
  await records(many.map((n) => ({ at: T, group: [`w${n}`, 'on'], fields: { loc: n } })))
  const pipeline = store.redis.pipeline()
  for (const n of many) {
    pipeline.xadd(keys.rejects, '*', 'topic', 'records', 'p', 0, 'o', n, 'reason', 'json')
    pipeline.xadd(keys.decisions, '*', 'd', decision(n))
  }
  await pipeline.exec()
  for (const name of ['windows', 'rejects', 'decisions']) {
    const { body } = await web.json(`/api/${name}?limit=${ROWS_MOST}`)
    expect([name, (body[name] as unknown[]).length]).toEqual([name, ROWS_MOST])
    expect(body.next).toBeString()
    expect((await web.json(`/api/${name}?limit=${ROWS_MOST + 1}`)).status).toBe(400)
  }
})

const decision = (to: number) =>
  JSON.stringify({ at: T, from: 0, to, reason: 'wake', sentence: '', inputs: {} })

test('32 may listen; all of them together cost what one costs', async () => {
  const { store, keys, job } = web.seeded
  const counted = countCalls(createStatusReader(store, keys, job, systemClock))
  const many = await openWeb('limits-many', { store, keys, job, reader: counted.reader })
  const listeners = await Promise.all(Array.from({ length: LISTENERS_MOST }, () => listen(many)))
  expect((await many.ask('/api/events')).status).toBe(503)
  const looks = () => listeners.map(({ statuses }) => statuses())
  await until('everybody to see a first look', () => Math.min(...looks()) > 0)
  const before = { looks: Math.max(...looks()), calls: counted.calls() }
  await until('many looks', () => Math.min(...looks()) >= before.looks + 5)
  // One may be under way.
  const looked = Math.max(...looks()) - before.looks + 1
  expect(counted.calls() - before.calls).toBeLessThanOrEqual(looked)
  await Promise.all(listeners.map(({ leave }) => leave()))
  expect(many.feed.size).toBe(0)
  await many.end()
})

/** A reader that counts how often it is asked for the status. */
function countCalls(reader: StatusReader) {
  let calls = 0
  const status = () => {
    calls++
    return reader.status()
  }
  return { reader: { ...reader, status }, calls: () => calls }
}

async function listen(many: Web) {
  const body = (await many.ask('/api/events')).body!.getReader()
  const decoder = new TextDecoder()
  let statuses = 0
  const reading = (async () => {
    for (;;) {
      const { done, value } = await body.read()
      if (done) return
      statuses += decoder.decode(value).split('event: status\n').length - 1
    }
  })()
  const leave = async () => {
    await body.cancel()
    await reading
  }
  return { statuses: () => statuses, leave }
}
