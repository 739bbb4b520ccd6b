/**
 * A live audit through real outages: Redis stops and comes back, Kafka is killed and comes back, and
 * what is committed after that is audited like what was before.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { readConfig } from '../../actors/config.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, untilReady } from '../../actors/redis.ts'
import { createTopic } from '../../faults/topic.ts'
import { until } from '../../faults/until.ts'
import { type Services, startServices } from '../../services/services.ts'
import { Audit, type Round } from '../../verify/audit.ts'
import { live } from '../../verify/live.ts'
import { jobOn } from './job.ts'
import { writeState } from './state.ts'

const COMING_BACK = { timeoutMs: 60_000 }

let services: Services
beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services.stop())

test('goes on when Redis and Kafka are there again', async () => {
  const config = readConfig(services.environment)
  const store = openStore(config, createLog('tests', 'error'))
  await untilReady(store)
  const topic = await createTopic('outage', { partitions: 2, kafkaBrokers: services.kafkaBrokers })
  const job = jobOn('outage', topic.name)
  const keys = keysOf(job.name)
  let writing = Promise.resolve()
  const committed = async (records: number) => {
    const end = records / 2
    const partitions: [number, number][] = [
      [0, end],
      [0, end],
    ]
    await topic.produce(Array.from({ length: 10 }, () => JSON.stringify({ t: 1, g: 'a', x: 1 })))
    const state = { partitions, counted: records, closedTo: 0, closed: [], open: [] }
    // By several commands: no round may begin between them.
    writing = writeState(store, keys, job, state)
    await writing
  }
  await committed(10)

  const lines: ({ outage?: string } & Partial<Round>)[] = []
  const end = new AbortController()
  const audit = new Audit({ job, kafka: kafkaClient(config, 'tests'), store, keys })
  const running = live({
    audit: {
      round: () => writing.then(() => audit.round()),
      close: () => audit.close(),
    },
    clock: systemClock,
    intervalMs: 50,
    signal: end.signal,
    json: true,
    write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[number]),
  })
  const outage = (what: RegExp) =>
    until(`${what} to be said`, () => what.test(lines.at(-1)?.outage ?? ''), COMING_BACK)
  const round = (records: number) =>
    until(`${records} records`, () => lines.at(-1)?.records === records, COMING_BACK)
  try {
    await round(10)
    await services.redis.stop()
    await outage(/^Redis does not answer/)
    await services.redis.start()
    await untilReady(store)
    await committed(20)
    await round(20)
    await services.kafka.stop('SIGKILL')
    await outage(/^Kafka/)
    await services.kafka.start()
    await committed(30)
    await round(30)
  } finally {
    end.abort()
    expect(await running).toBe(true)
    await store.close()
  }
  // Each is said once; on its way back Kafka may go away again.
  expect(lines.filter((line) => line.outage).length).toBeLessThan(6)
}, 180_000)
