/**
 * Each replay once: whoever is killed at whichever step, and whoever else begins meanwhile. Rejects
 * are made by hand; the topic and Redis are real.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { bounds, readConfig } from '../../actors/config.ts'
import { RawKafka } from '../../actors/kafka.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import { createTopic, type TestTopic } from '../../faults/topic.ts'
import { until } from '../../faults/until.ts'
import { type Fenced, openFence } from '../../rejects/fence.ts'
import { Originals } from '../../rejects/originals.ts'
import { forgetOld, readRejects, type Reject } from '../../rejects/rejects.ts'
import { replay, REPLAY_HEADER, type ReplayOptions } from '../../rejects/replay.ts'
import { rejection } from '../support/rejection.ts'
import { testServices } from '../support/services.ts'
import { startCommand } from '../support/command.ts'
import { commandOf, committedRecords, replaysIn, runCommand } from './setup.ts'

let store: Store
let keys: Keys
let topic: TestTopic
let raw: RawKafka
const open: Fenced[] = []

beforeAll(async () => {
  const { environment } = await testServices()
  store = openStore(readConfig(environment), createLog('tests', 'error'))
  await untilReady(store)
}, 120_000)
afterAll(() => store.close())

beforeEach(async () => {
  const { kafkaBrokers } = await testServices()
  topic = await createTopic('replays', { partitions: 2, kafkaBrokers })
  keys = keysOf(topic.name)
  raw = new RawKafka(topic.kafka, topic.name)
})
afterEach(async () => {
  for (const fenced of open.splice(0)) await fenced.close()
  await raw.close()
  await topic.delete()
  const names = await store.redis.keys(`${keys.base}:*`)
  if (names.length > 0) await store.redis.del(...names)
})

/** Records, all of them rejected; places in order. */
async function rejected(count: number, reason = 'schema'): Promise<string[]> {
  const values = Array.from({ length: count }, (_, i) => `{"i":${i}}`)
  await topic.produce(values)
  const places = values.map((_, i) => `${i % 2}:${Math.floor(i / 2)}`)
  for (const [i, place] of places.entries()) await row(place, reason, values[i]!)
  await raw.connect()
  return places.sort()
}

async function row(place: string, reason: string, value: string): Promise<void> {
  const [p, o] = place.split(':') as [string, string]
  await store.redis.xadd(
    keys.rejects,
    '*',
    ...(['topic', topic.name, 'p', p, 'o', o] as const),
    ...(['reason', reason, 'message', 'why', 'value', value] as const),
  )
}

async function fence(): Promise<Fenced> {
  const fenced = await openFence(
    topic.kafka,
    topic.name,
    [{ name: topic.name, index: 0 }],
    systemClock,
  )
  open.push(fenced)
  return fenced
}

async function run(fenced: Fenced, given: Partial<ReplayOptions> = {}): Promise<string[]> {
  const originals = new Originals(raw)
  const find = (reject: Reject) => originals.find(reject)
  const common = { job: topic.name, store, keys, clock: systemClock, fenced, find, force: false }
  const said: string[] = []
  for await (const outcome of replay({ ...common, ...given }, await readRejects(store, keys, {}))) {
    said.push(outcome.kind === 'kept' ? `kept: ${outcome.why}` : outcome.kind)
  }
  return said
}

const killed = () => new Error('killed')
const states = async () => {
  const rejects = await readRejects(store, keys, {})
  return [...new Set(rejects.map(({ mark }) => mark?.state ?? 'open'))]
}
const onceEach = async (places: string[]) =>
  expect(replaysIn(await committedRecords(topic))).toEqual(places)

test('a record is replayed with its key, its headers and its time', async () => {
  // Within what a topic keeps.
  const times = [90_000, 30_123, 60_000].map((ago) => systemClock.now() - ago)
  const given = times.map((timestamp, i) => ({
    value: `{"i":${i}}`,
    key: `k${i}`,
    partition: 0,
    timestamp,
    headers: { trace: `t${i}` },
  }))
  // Each alone: a broker tells the time of a batch by its first and its last.
  for (const record of given) await topic.produce([record])
  for (const [i, { value }] of given.entries()) await row(`0:${i}`, 'schema', value)
  await raw.connect()
  expect(await run(await fence())).toEqual(['replayed', 'replayed', 'replayed'])
  // What is committed is seen when Kafka has marked its end.
  const again = await until('the replays to be seen', async () => {
    const found = await committedRecords(topic)
    const replays = found.filter(({ headers }) => REPLAY_HEADER in headers)
    return replays.length === given.length ? replays : null
  })
  expect(again.map(({ key, timestamp, headers }) => [key, timestamp, headers.trace])).toEqual(
    given.map(({ key, timestamp, headers }) => [key, timestamp, headers.trace]),
  )
}, 60_000)

describe('killed', () => {
  test('between the mark and the transaction: the next replay begins anew', async () => {
    const places = await rejected(6)
    const fenced = { ...(await fence()), send: () => Promise.reject(killed()) }
    expect((await rejection(run(fenced))).message).toBe('killed')
    expect(await states()).toEqual(['open', 'replaying'])
    await onceEach([])
    expect(await run(await fence())).toEqual(places.map(() => 'replayed'))
    await onceEach(places)
  }, 60_000)

  test('with records sent and nothing committed: what was sent never counts', async () => {
    const places = await rejected(6)
    const config = { transactionalId: `millrace-${topic.name}-replay`, idempotent: true }
    const producer = topic.kafka.producer({ ...config, maxInFlightRequests: 1 })
    await producer.connect()
    const unfinished = await producer.transaction()
    await unfinished.send({ topic: topic.name, messages: [{ value: 'sent', partition: 0 }] })
    expect(await run(await fence())).toEqual(places.map(() => 'replayed'))
    expect((await rejection(unfinished.commit())).message).toMatch(/epoch|fenced/i)
    await producer.disconnect()
    await onceEach(places)
    expect((await committedRecords(topic)).map(({ value }) => value)).not.toContain('sent')
  }, 60_000)

  test('between the transaction and the mark: the evidence tells that it happened, and where', async () => {
    const places = await rejected(6)
    const fenced = await fence()
    const send: Fenced['send'] = async (sending) => {
      await fenced.send(sending)
      throw killed()
    }
    expect((await rejection(run({ ...fenced, send }))).message).toBe('killed')
    expect(await states()).toEqual(['open', 'replaying'])
    const said = await run(await fence())
    expect(said.sort()).toEqual([...Array(3).fill('done before'), ...Array(3).fill('replayed')])
    await onceEach(places)
    const found = await committedRecords(topic)
    for (const reject of await readRejects(store, keys, {})) {
      const { mark, partition, value } = reject
      const again = found.find(
        (one) =>
          one.partition === partition && mark?.state === 'replayed' && one.offset === mark.offset,
      )
      expect(again?.value).toBe(value.toString())
    }
  }, 60_000)

  test('long ago, with evidence that may be gone: kept, and said so', async () => {
    await rejected(2)
    const broken = { ...(await fence()), send: () => Promise.reject(killed()) }
    await rejection(run(broken))
    const now = systemClock.now() + 25 * 3_600_000
    const clock = { ...systemClock, now: () => now }
    const said = await run(await fence(), { clock })
    expect(said.filter((one) => /not known any more \(--force/.test(one))).toHaveLength(1)
    const forced = await run(await fence(), { clock, force: true })
    expect(forced.sort()).toEqual(['done before', 'replayed'])
  }, 60_000)
})

describe('two at once', () => {
  test('the one that began first is shut out, and what it had marked is settled', async () => {
    const places = await rejected(6)
    const first = await fence()
    const second = await fence()
    const error = await rejection(run(first))
    expect(error.message).toBe('another replay of this job has begun meanwhile, and goes on')
    expect(await run(second)).toEqual(places.map(() => 'replayed'))
    await onceEach(places)
  }, 60_000)

  test('one that was shut out does not take back what the other has begun', async () => {
    const places = await rejected(4)
    const first = await fence()
    const second = await fence()
    // The first sees the second's marks, and evidence of before.
    const stale = await first.evidence()
    let said = ''
    const send: Fenced['send'] = async (sending) => {
      const outdated = { ...first, evidence: () => Promise.resolve(stale) }
      if (said === '') said = (await rejection(run(outdated))).message
      return second.send(sending)
    }
    expect(await run({ ...second, send })).toEqual(places.map(() => 'replayed'))
    expect(said).toMatch(/another replay/)
    expect(await states()).toEqual(['replayed'])
    await onceEach(places)
  }, 60_000)

  test('one that was stopped before its transaction does not commit it when it wakes up', async () => {
    const places = await rejected(4)
    const first = await fence()
    const send: Fenced['send'] = async (sending) => {
      expect(await run(await fence())).toEqual(places.map(() => 'replayed'))
      return first.send(sending)
    }
    expect((await rejection(run({ ...first, send }))).message).toMatch(/another replay/)
    await onceEach(places)
    expect(await states()).toEqual(['replayed'])
  }, 60_000)
})

describe('kept, with the reason', () => {
  const sole = async (given: Partial<ReplayOptions> = {}) => (await run(await fence(), given))[0]

  test('what Kafka has deleted', async () => {
    await rejected(2)
    const admin = topic.kafka.admin()
    await admin.connect()
    await admin.fetchTopicMetadata({ topics: [topic.name] })
    const partitions = [{ partition: 0, offset: '1' }]
    await admin.deleteTopicRecords({ topic: topic.name, partitions })
    await admin.disconnect()
    expect(await sole()).toBe('kept: Kafka does not have it any more')
    expect((await states()).sort()).toEqual(['open', 'replayed'])
  }, 60_000)

  test('what would be late again, unless it is forced', async () => {
    await rejected(1, 'late')
    expect(await sole()).toMatch(/^kept: its windows are closed/)
    expect(await sole({ force: true })).toBe('replayed')
    // How it was judged stays as the executor has written it down.
    expect(await store.redis.xlen(keys.verdicts)).toBe(0)
  }, 60_000)

  test('what has no value, and what is another record than the one that was rejected', async () => {
    await topic.produce([
      { value: null, partition: 0 },
      { value: 'other', partition: 1 },
    ])
    await row('0:0', 'null', '')
    await row('1:0', 'json', 'this')
    await row('1:99', 'json', 'beyond the end')
    await raw.connect()
    expect(await run(await fence())).toEqual([
      'kept: it has no value, so there is nothing to replay',
      'kept: the topic has another record there',
      'kept: Kafka does not have it any more',
    ])
  }, 60_000)

  test('what Kafka refuses; others are replayed', async () => {
    const places = await rejected(2)
    const admin = topic.kafka.admin()
    await admin.connect()
    const configEntries = [{ name: 'max.message.bytes', value: '100' }]
    const resource = { type: 2, name: topic.name, configEntries }
    await admin.alterConfigs({ validateOnly: false, resources: [resource] })
    await admin.disconnect()
    expect(await sole()).toMatch(/^kept: Kafka: .*larger|too large/i)
    expect(await states()).toEqual(['open'])
    await onceEach([])
    expect(places).toHaveLength(2)
  }, 60_000)
})

test('marks of rejects that the stream does not keep any more are forgotten, begun ones never', async () => {
  const [first] = await rejected(2)
  const old = Array.from({ length: 2 * bounds.rejectsKept }, (_, i) => [`7:${i}`, `dropped|${i}`])
  await store.redis.hset(keys.handled, ...old.flat(), first!, 'dropped|1', '8:1', 'replaying|t|0|1')
  await forgetOld(store, keys)
  expect((await store.redis.hkeys(keys.handled)).sort()).toEqual([first!, '8:1'])
}, 30_000)

describe('the command', () => {
  const command = (...args: string[]) => runCommand(topic.name, topic.name, args)

  test('killed again and again, and two at a time: each is replayed once in the end', async () => {
    const places = await rejected(600)
    let code: number | null = 1
    for (let round = 0; code !== 0 && round < 12; round++) {
      const replaying = await commandOf(topic.name, topic.name, ['replay', '--all'])
      const [first, second] = [startCommand(...replaying), startCommand(...replaying)]
      const afterMs = round < 8 ? 350 + round * 60 : 60_000
      const kill = setTimeout(() => first.kill('SIGKILL'), afterMs)
      const killOther = setTimeout(() => second.kill('SIGKILL'), afterMs + 100)
      code = Math.min(...(await Promise.all([first.exited, second.exited])))
      clearTimeout(kill)
      clearTimeout(killOther)
    }
    expect((await command('replay', '--all')).last).toBe('replayed 0, done before 600, kept 0')
    await onceEach(places)
    expect(await states()).toEqual(['replayed'])
  }, 120_000)

  test('drops what is chosen, which is then neither dropped nor replayed again', async () => {
    await rejected(4)
    await row('0:99', 'json', 'text')
    expect(await command('drop', '--reason', 'json')).toMatchObject({
      code: 2,
      err: 'rejects: drop would mark 1 rejects as done with; say --yes\n',
    })
    const twice = ['--offset', '0:0', '--offset', '1:1', '--yes']
    expect(await command('drop', ...twice)).toMatchObject({ code: 0, last: 'dropped 2' })
    expect((await command('drop', ...twice)).last).toBe('dropped 0, 2 were done with before')
    const replayed = await command('replay', '--reason', 'schema')
    expect(replayed).toMatchObject({ code: 0, last: 'replayed 2, done before 2, kept 0' })
    await onceEach(['0:1', '1:0'])
    expect(JSON.parse((await command('drop', ...twice, '--json')).out)).toEqual({
      dropped: 0,
      doneBefore: 2,
      kept: 0,
    })
    const lines = (await command('replay', '--reason', 'schema', '--json')).out.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toContainEqual({
      place: '0:1',
      outcome: 'done before',
      replayedAs: null,
      why: null,
    })
    expect(JSON.parse(lines.at(-1)!)).toEqual({ replayed: 0, doneBefore: 4, kept: 0 })
    const { out } = await command('list', '--json', '--state', 'dropped')
    const rows = JSON.parse(out) as { partition: number; offset: string; id: string }[]
    expect(rows.map(({ partition, offset }) => `${partition}:${offset}`)).toEqual(['1:1', '0:0'])
    const listed = await command('list', '--id', rows[0]!.id)
    expect(listed.out.split('\n')).toHaveLength(3)
  }, 60_000)

  test('lists without letting a record write to the terminal', async () => {
    await row('0:5', 'json', '\u001b[2J\u202Egnp.exe\n\u0000')
    const { out, code } = await command('list')
    expect(code).toBe(0)
    expect(out).toContain('\\u{1b}[2J\\u{202e}gnp.exe\\u{a}\\u{0}')
    // oxlint-disable-next-line eslint/no-control-regex
    expect(out).not.toMatch(/[\u0000-\u0009\u001b]/)
    expect((await command('list', '--since', '2099-01-01')).out).toMatch(/^no such rejects/)
    expect((await command('list', '--partition', '1')).out).toMatch(/^no such rejects/)
  }, 60_000)
})
