/** What a shadow is called, what it is a shadow of, and from where it reads. */
import { afterEach, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { keysOf } from '../../actors/keys.ts'
import { readLineage, successionOf } from '../../actors/lineage.ts'
import { uniqueName } from '../../faults/names.ts'
import { castShadow } from '../../supervisor/shadow.ts'
import { dropJob } from '../../versions/list.ts'
import { sinkJob, T } from '../actors/sinks/place.ts'
import { rejection } from '../support/rejection.ts'
import { type Seeded, seed } from '../web/seed.ts'

const MINUTES = 60_000
const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function running(sessions = false): Promise<Seeded> {
  const seeded = await seed(sinkJob(uniqueName('shadow'), { sessions }))
  ends.push(seeded.end)
  for (const number of [2, 3]) {
    ends.push(() => dropJob(seeded.store, keysOf(`${seeded.job.name}-${number}`)))
  }
  return seeded
}

const record = (seconds: number, who = 'a') => ({
  at: T + seconds * 1_000,
  group: [who],
  fields: { loc: 1 },
})
const cast = ({ store, job }: Seeded, from: Parameters<typeof castShadow>[3]['from'] = null) =>
  castShadow(store, job, systemClock, { from })

test('it has the next free name, and reads from where the windows begin that are open', async () => {
  const it = await running()
  await it.records([record(1), record(31)])
  await it.closeTo(T + 30_000)
  const shadow = await cast(it)
  expect(shadow).toEqual({
    name: `${it.job.name}-2`,
    of: it.job.name,
    // Event times may be ahead of Kafka's by `maxFutureSkew`.
    from: { time: T + 20_000 - 5 * MINUTES },
    known: false,
  })
  const lineage = await readLineage(it.store, keysOf(shadow.name))
  expect(lineage).toEqual({
    stage: 'shadow',
    of: it.job.name,
    before: [it.job.name],
    wholeAfter: T + 30_000,
  })
  expect(successionOf(shadow.name, lineage)).toEqual({
    owner: it.job.name,
    version: shadow.name,
    predecessors: [''],
  })
  // Started again, it is the same one.
  expect(await cast(it)).toMatchObject({ name: shadow.name, known: true })
})

test('of sessions it reads from the beginning of the oldest that is open', async () => {
  const it = await running(true)
  await it.records([record(1), record(8), record(9), record(10.5), record(11, 'b')])
  await it.closeTo(T + 11_000)
  expect((await cast(it)).from).toEqual({ time: T + 8_000 - 5 * MINUTES })
})

test('the next one is of the version that took the place', async () => {
  const it = await running()
  const { name } = await cast(it, 'earliest')
  const keys = keysOf(name)
  expect(await readLineage(it.store, keys)).toMatchObject({ wholeAfter: 0 })
  await it.store.redis.hset(it.keys.version, { stage: 'ending', by: name })
  expect((await rejection(cast(it))).message).toContain('finish that with bun run versions cutover')
  await it.store.redis.hset(it.keys.version, { stage: 'replaced' })
  await it.store.redis.hset(keys.version, { stage: 'live' })
  await it.store.redis.hset(keys.ledger, 'topicId', 'x')
  const next = await cast(it)
  expect(next).toMatchObject({ name: `${it.job.name}-3`, of: name, from: 'earliest' })
  expect(successionOf(next.name, await readLineage(it.store, keysOf(next.name)))).toEqual({
    owner: it.job.name,
    version: next.name,
    predecessors: ['', name],
  })
})

test('there is none of a job that Redis does not hold', async () => {
  const it = await running()
  await it.store.redis.del(it.keys.ledger)
  expect((await rejection(cast(it))).message).toBe(
    `Redis holds no job ${it.job.name}, so there is nothing to be a shadow of: start it without --shadow`,
  )
})
