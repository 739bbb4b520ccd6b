/**
 * Who looks again and again fetches only what is new: pages and `since` of decisions and rejects, and
 * answers that have not changed.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { recordDecision, recordEffect } from '../../supervisor/decisions.ts'
import { pageOf } from '../../web/pages.ts'
import { decisionsSchema, rejectsSchema } from '../../web/schemas.ts'
import { openWeb, type Web } from './setup.ts'

const T = 1_700_000_000_000

let web: Web
beforeEach(async () => {
  web = await openWeb('pages')
})
afterEach(() => web.end())

interface Rows {
  ids: string[]
  next?: string | undefined
}

async function decide(count: number): Promise<string[]> {
  const { store, keys } = web.seeded
  const ids: string[] = []
  for (let to = 1; to <= count; to++) {
    const told = { reason: 'wake' as const, sentence: `${to}`, inputs: {} }
    ids.unshift(await recordDecision(store, keys, { at: T, from: to - 1, to, ...told }))
  }
  return ids
}

async function reject(count: number, reason: string): Promise<string[]> {
  const { store, keys } = web.seeded
  const ids: string[] = []
  for (let offset = 0; offset < count; offset++) {
    const fields = { topic: 'records', p: 0, o: offset, reason, message: 'no', value: '{' }
    ids.unshift((await store.redis.xadd(keys.rejects, '*', ...Object.entries(fields).flat()))!)
  }
  return ids
}

async function rows(name: 'decisions' | 'rejects', query = ''): Promise<Rows> {
  const { status, body } = await web.json(`/api/${name}?${query}`)
  expect(status).toBe(200)
  if (name === 'decisions') {
    const { decisions, next } = v.parse(decisionsSchema, body)
    return { ids: decisions.map(({ id }) => id), next }
  }
  const { rejects, next } = v.parse(rejectsSchema, body)
  return { ids: rejects.map(({ id }) => id), next }
}

describe.each([
  ['decisions', (count: number) => decide(count)],
  ['rejects', (count: number) => reject(count, 'json')],
] as const)('GET /api/%s', (name, make) => {
  test('pages hold each row once, newest first, and end', async () => {
    const ids = await make(7)
    const paged: string[] = []
    const sizes: number[] = []
    for (let cursor = '', more = true; more; ) {
      const { ids: page, next } = await rows(name, `limit=3${cursor}`)
      paged.push(...page)
      sizes.push(page.length)
      more = next !== undefined
      cursor = `&cursor=${next}`
    }
    expect(paged).toEqual(ids)
    expect(sizes).toEqual([3, 3, 1])
    expect((await rows(name, 'limit=7')).next).toBeUndefined()
  })

  test('since gives what is newer, and nothing where nothing is', async () => {
    const [newest] = await make(3)
    expect(await rows(name, `since=${newest}`)).toEqual({ ids: [] })
    const ids = await make(5)
    expect(await rows(name, `since=${newest}`)).toEqual({ ids })
    // Who is far behind goes on by cursor, down to what it knows.
    const page = await rows(name, `since=${newest}&limit=3`)
    expect(page).toEqual({ ids: ids.slice(0, 3), next: ids[2] })
    const rest = await rows(name, `since=${newest}&limit=3&cursor=${page.next}`)
    expect(rest).toEqual({ ids: ids.slice(3) })
  })

  test.each(['0', 'now', '1-', '-1', '1-1-1', '1700000000000-x', `${'9'.repeat(20)}-0`, '$', '+'])(
    'an id that is none is refused: %s',
    async (id) => {
      for (const field of ['since', 'cursor']) {
        const { status, body } = await web.json(`/api/${name}?${field}=${encodeURIComponent(id)}`)
        expect(status).toBe(400)
        expect(body.error?.message).toStartWith(`${field} must be the id of a row`)
      }
    },
  )

  test.each(['0', '1001', '1e3', '0x10', '1.5', ' 1'])('limit=%s is refused', async (limit) => {
    const path = `/api/${name}?limit=${encodeURIComponent(limit)}`
    expect((await web.json(path)).body.error?.message).toContain('from 1 to 1000')
    expect((await rows(name, 'limit=1000')).ids).toEqual([])
  })
})

test('rejects of one reason are paged over all others', async () => {
  const late = await reject(2, 'late')
  await reject(600, 'json')
  const newer = await reject(1, 'late')
  const first = await rows('rejects', 'reason=late&limit=2')
  expect(first).toEqual({ ids: [newer[0]!, late[0]!], next: late[0]! })
  const rest = await rows('rejects', `reason=late&limit=2&cursor=${first.next}`)
  expect(rest).toEqual({ ids: [late[1]!] })
})

test('an older page of decisions has their effects too', async () => {
  const { store, keys } = web.seeded
  const ids = await decide(6)
  for (const id of ids.toReversed())
    await recordEffect(store, keys, { id, direction: 'out', ms: 5 })
  const { body } = await web.json(`/api/decisions?limit=2&cursor=${ids[3]}`)
  const { decisions } = v.parse(decisionsSchema, body)
  expect(decisions).toMatchObject([
    { id: ids[4]!, effectMs: 5 },
    { id: ids[5]!, effectMs: 5 },
  ])
})

test('a decision that cannot be read leaves no gap in a page', async () => {
  const { store, keys } = web.seeded
  const old = await decide(2)
  await store.redis.xadd(keys.decisions, '*', 'd', '{"of":"another version"}')
  expect(await rows('decisions', 'limit=1')).toEqual({ ids: [old[0]!], next: old[0]! })
})

test('a page says that there is more only where there is', () => {
  const found = ['c', 'b', 'a'].map((id) => ({ id }))
  expect(pageOf(found, 2)).toEqual({ rows: found.slice(0, 2), next: 'b' })
  expect(pageOf(found, 3)).toEqual({ rows: found })
  expect(pageOf([], 1)).toEqual({ rows: [] })
})

describe('If-None-Match', () => {
  const group = ['a', 'on']
  const record = (at: number) => ({ at: T + at, group, fields: { loc: 1 } })
  const get = (path: string, etag?: string) =>
    web.ask(path, etag === undefined ? {} : { headers: { 'If-None-Match': etag } })

  async function tagOf(path: string): Promise<string> {
    const answer = await get(path)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('private, no-cache')
    return answer.headers.get('etag')!
  }

  test.each(['/api/windows', '/api/windows?state=open', '/openapi.json', '/', '/app.js'])(
    '%s is 304 while nothing changes',
    async (path) => {
      await web.seeded.records([record(0)])
      const etag = await tagOf(path)
      for (const held of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const answer = await get(path, held)
        expect([held, answer.status, await answer.text()]).toEqual([held, 304, ''])
        expect(answer.headers.get('etag')).toBe(etag)
        expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
      }
      expect((await get(path, '"other"')).status).toBe(200)
    },
  )

  test('of the windows changes with a record, a close, a window that is about to close', async () => {
    const { records, closeTo, store, keys } = web.seeded
    const seen = new Set<string>()
    const changed = async () => {
      const etag = await tagOf('/api/windows')
      expect(seen.has(etag)).toBe(false)
      seen.add(etag)
    }
    await changed()
    await records([record(0)])
    await changed()
    await records([record(0)])
    await changed()
    await records([record(12_000)])
    await changed()
    await closeTo(T + 10_000)
    await changed()
    await store.redis.hincrby(keys.clock, 'closedTo', 5_000)
    await changed()
  })

  test('of another query is another one; a wrong query is refused all the same', async () => {
    await web.seeded.records([record(0)])
    const etag = await tagOf('/api/windows')
    expect((await get('/api/windows?limit=1', etag)).status).toBe(200)
    expect((await get('/api/windows?limit=0', '*')).status).toBe(400)
  })

  test('of another process, which may run another version of the job, is another one', async () => {
    await web.seeded.records([record(0)])
    const { store, keys, job } = web.seeded
    const other = await openWeb('other', { store, keys, job })
    const answer = await other.ask('/api/windows')
    expect(answer.headers.get('etag')).not.toBe(await tagOf('/api/windows'))
    expect(await answer.json()).toEqual(await (await get('/api/windows')).json())
    await other.end()
  })

  test.each(['status', 'executors', 'cost', 'loop', 'decisions', 'rejects'])(
    '/api/%s has none: it is another one at each look, or small',
    async (name) => {
      const answer = await get(`/api/${name}`, '*')
      expect(answer.status).toBe(200)
      expect(answer.headers.get('etag')).toBeNull()
      expect(answer.headers.get('cache-control')).toBe('no-store')
    },
  )
})
