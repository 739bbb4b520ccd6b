/**
 * What demo and others call: each of the two services is looked for by itself, and only what was
 * started is stopped.
 */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaAnswers, redisAnswers } from '../../services/answers.ts'
import { findServices, Source } from '../../services/find.ts'
import { freePort, isListening } from '../../services/ports.ts'
import { silent } from '../../cli/progress.ts'
import { testServices } from '../support/services.ts'

setDefaultTimeout(90_000)

const dir = mkdtempSync(join(tmpdir(), 'millrace-find-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('a named Kafka is used beside a Redis that is started, and outlives it', async () => {
  const { kafkaBrokers } = await testServices()
  const redisPort = await freePort()
  const environment = { KAFKA_BROKERS: kafkaBrokers }
  const found = await findServices({ dir, detached: false, redisPort, log: silent, environment })
  expect(found.kafka).toEqual({ name: 'kafka', address: kafkaBrokers, source: Source.environment })
  expect(found.redis).toMatchObject({ name: 'redis', source: Source.process })
  expect(found.environment).toEqual({
    KAFKA_BROKERS: kafkaBrokers,
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
  })
  expect(await redisAnswers(found.redisUrl)).toBe(true)
  await found.stop()
  await found.stop()
  expect(await isListening(redisPort)).toBe(false)
  expect(await kafkaAnswers({ KAFKA_BROKERS: [kafkaBrokers] })).toBe(true)
})

test('what listens on a given port already is used and not stopped', async () => {
  const { kafkaBrokers, redisUrl } = await testServices()
  const redisPort = Number(new URL(redisUrl).port)
  const kafkaPort = Number(kafkaBrokers.split(':')[1])
  const options = { dir, detached: false, redisPort, kafkaPort, log: silent }
  const found = await findServices({ ...options, environment: { REDIS_URL: 'redis://elsewhere' } })
  expect([found.kafka.source, found.redis.source]).toEqual([Source.running, Source.running])
  expect(found.redisUrl).toBe(`redis://127.0.0.1:${redisPort}`)
  await found.stop()
  expect(await redisAnswers(redisUrl)).toBe(true)
})

test('a password in REDIS_URL is handed on and not part of what is told', async () => {
  const { kafkaBrokers, redisUrl } = await testServices()
  const named = redisUrl.replace('redis://', 'redis://default:canary@')
  const environment = { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: named }
  const found = await findServices({ dir, detached: false, log: silent, environment })
  expect(found.redisUrl).toBe(named)
  expect(found.redis.address).not.toContain('canary')
})
