/** The register of jobs: what is said there, by whom it is read, and what is not believed. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Clock } from '../../actors/clock.ts'
import { shared } from '../../actors/keys.ts'
import {
  type Entry,
  pageOf,
  readEntries,
  Registration,
  removeEntry,
} from '../../supervisor/entries.ts'
import { forgetJob } from '../../supervisor/forget.ts'
import { openPlace, type Place } from '../support/redis.ts'

const limits = { min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 }

let place: Place
let now = 1_000_000
const clock = { now: () => now, elapsed: () => now } as Clock

beforeEach(async () => {
  place = await openPlace('entries')
})
afterEach(async () => {
  await removeEntry(place.store, place.name)
  await place.end()
})

const registration = (page: string | null = 'http://127.0.0.1:8080/') =>
  new Registration(place.store, clock, { job: place.name, topics: ['clicks'], host: 'h1', page })

const own = async () => (await readEntries(place.store)).find(({ job }) => job === place.name)

test('a leader tells of its job: topics, since, host, page, limits', async () => {
  const one = registration()
  one.takesOver()
  await one.refresh(limits)
  expect(await own()).toEqual({
    job: place.name,
    topics: ['clicks'],
    since: now,
    at: now,
    host: 'h1',
    page: 'http://127.0.0.1:8080/',
    limits,
  })
})

test('it tells again when five seconds are over, or when its limits are others', async () => {
  const one = registration()
  one.takesOver()
  const since = now
  await one.refresh(limits)
  now += 1_000
  await one.refresh(limits)
  expect((await own())?.at).toBe(since)
  await one.refresh({ ...limits, max: 8 })
  expect(await own()).toMatchObject({ at: now, since, limits: { max: 8 } })
  now += 5_000
  await one.refresh({ ...limits, max: 8 })
  expect((await own())?.at).toBe(now)
})

test.each([
  ['no JSON', '{'],
  ['a page that is a program', { page: 'javascript:alert(1)' }],
  ['a page that ends its attribute', { page: 'http://h/"onclick=x' }],
  ['a time that is none', { since: -1 }],
  ['a host of a megabyte', { host: 'x'.repeat(2 ** 20) }],
])('an entry with %s is left out', async (_, wrong) => {
  const { store, name } = place
  const entry: Entry = { topics: ['t'], since: 1, at: 1, host: 'h', page: null, limits }
  await store.redis.hset(shared.register, name, JSON.stringify(entry))
  expect(await own()).toBeDefined()
  const text = typeof wrong === 'string' ? wrong : JSON.stringify({ ...entry, ...wrong })
  await store.redis.hset(shared.register, name, text)
  expect(await own()).toBeUndefined()
})

test('a job is forgotten when nobody leads it, and not before', async () => {
  const { store, keys, name } = place
  await registration().refresh(limits)
  await store.call('lead', keys.base, ['leader', 's1', 60_000])
  expect(await forgetJob(store, name)).toBe('leads')
  expect(await own()).toBeDefined()
  await store.call('resign', keys.base, ['leader', 's1'])
  expect(await forgetJob(store, name)).toBe('forgotten')
  expect(await own()).toBeUndefined()
  expect(await forgetJob(store, name)).toBe('absent')
})

describe('the address of a page', () => {
  const web = { url: undefined, host: '127.0.0.1', port: 8080, web: true }
  test.each([
    [web, 'http://127.0.0.1:8080/'],
    [{ ...web, host: 'localhost' }, 'http://127.0.0.1:8080/'],
    [{ ...web, host: '0.0.0.0' }, 'http://worker-1:8080/'],
    [{ ...web, host: '::' }, 'http://worker-1:8080/'],
    [{ ...web, host: '10.0.0.7', port: 80 }, 'http://10.0.0.7:80/'],
    [{ ...web, host: 'fd00::7' }, 'http://[fd00::7]:8080/'],
    [{ ...web, url: 'https://etl.example/rooms/' }, 'https://etl.example/rooms/'],
    [{ ...web, port: 0 }, null],
    [{ ...web, web: false, url: 'https://etl.example/' }, null],
  ])('%j → %j', (given, address) => {
    expect(pageOf(given, 'worker-1')).toBe(address)
  })
})
