/**
 * Private instances, really started: they answer, survive a stop and a kill with their data and
 * their ports, refuse a port that is taken, and end with the process that started them.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { kafkaAnswers, redisAnswers } from '../../services/answers.ts'
import { identify, isAlive, isStill } from '../../services/identity.ts'
import { freePort, isListening } from '../../services/ports.ts'
import { type Services, startRedis, startServices } from '../../services/services.ts'
import { silent } from '../../cli/progress.ts'
import { createTopic } from '../../faults/topic.ts'
import { until } from '../../faults/until.ts'
import { rejection } from '../support/rejection.ts'

setDefaultTimeout(90_000)

let services: Services

beforeAll(async () => {
  services = await startServices()
})

afterAll(async () => {
  await services.stop()
  await services.stop()
  expect(services.kafka.running || services.redis.running).toBe(false)
  expect(existsSync(services.dir)).toBe(false)
})

function connect(): Redis {
  const redis = new Redis(services.redisUrl, { lazyConnect: true })
  redis.on('error', () => undefined)
  return redis
}

test('both answer calls of their own protocol', async () => {
  expect(await kafkaAnswers({ KAFKA_BROKERS: [services.kafkaBrokers] })).toBe(true)
  expect(await redisAnswers(services.redisUrl)).toBe(true)
  // Each other's port is open, and is no answer.
  expect(await redisAnswers(`redis://${services.kafkaBrokers}`)).toBe(false)
})

test('they listen on the loopback interface only', async () => {
  const sockets = Bun.spawnSync(['cat', '/proc/net/tcp', '/proc/net/tcp6']).stdout.toString()
  const open = sockets.split('\n').map((line) => line.trim().split(/\s+/)[1] ?? '')
  for (const port of [services.kafka.port, services.redis.port]) {
    const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
    const hosts = open.filter((local) => local.endsWith(suffix)).map((local) => local.slice(0, -5))
    const loopback = ['0100007F', '0000000000000000FFFF00000100007F']
    expect(hosts.filter((host) => !loopback.includes(host))).toEqual([])
  }
})

test('Redis keeps everything, evicts nothing and has its data after kill -9', async () => {
  const redis = connect()
  await redis.set('kept', 'yes')
  for (const [name, value] of [
    ['appendonly', 'yes'],
    ['appendfsync', 'everysec'],
    ['maxmemory-policy', 'noeviction'],
    ['save', ''],
  ] as const) {
    expect(await redis.config('GET', name)).toEqual([name, value])
  }
  const before = services.redis.pid
  await services.redis.stop('SIGKILL')
  expect(services.redis.running).toBe(false)
  await services.redis.start()
  expect(services.redis.pid).not.toBe(before)
  expect(await redis.get('kept')).toBe('yes')
  redis.disconnect()
})

test('Kafka has its records and its port after a stop and a start', async () => {
  const topic = await createTopic('restart', { partitions: 2, kafkaBrokers: services.kafkaBrokers })
  await topic.produce(['a', 'b', 'c'])
  const port = services.kafka.port
  await services.kafka.stop()
  expect(await isListening(port)).toBe(false)
  await services.kafka.start()
  expect(services.kafka.port).toBe(port)
  expect(await topic.ends()).toEqual([2n, 1n])
})

test('Kafka comes back after kill -9', async () => {
  await services.kafka.stop('SIGKILL')
  expect(services.kafka.running).toBe(false)
  await services.kafka.start()
  expect(await kafkaAnswers({ KAFKA_BROKERS: [services.kafkaBrokers] })).toBe(true)
})

test('Kafka takes a record of 10 MB and creates no topic by itself', async () => {
  const topic = await createTopic('large', { kafkaBrokers: services.kafkaBrokers })
  await topic.produce([{ value: Buffer.alloc(10_000_000, 'x') }])
  expect(await topic.ends()).toEqual([1n])
  const other = topic.kafka.producer({ retry: { retries: 0 } })
  await other.connect()
  const sent = other.send({ topic: `${topic.name}-absent`, messages: [{ value: 'x' }] })
  expect((await rejection(sent)).message).toContain('does not host this topic-partition')
  await other.disconnect()
})

test('a start that is running already is left alone', async () => {
  const { pid } = services.redis
  await services.redis.start()
  expect(services.redis.pid).toBe(pid)
})

test('a taken port is refused in one line, and what had been started is stopped', async () => {
  const dir = join(services.dir, 'second')
  const kafkaPort = await freePort()
  const second = startServices({ dir, kafkaPort, redisPort: services.redis.port })
  expect((await rejection(second)).message).toContain(
    `Redis can't start: 127.0.0.1:${services.redis.port} is in use already`,
  )
  expect(await isListening(kafkaPort)).toBe(false)
})

test('a setting that the server refuses is told in its own words', async () => {
  const dir = join(services.dir, 'refused')
  const redisSettings = { 'maxmemory-policy': 'sometimes' }
  const third = startRedis({ dir, detached: false, redisSettings }, silent)
  expect((await rejection(third)).message).toMatch(/Redis ended at start: .*redis\.log/)
})

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test.if(process.platform === 'linux')(`they end with a starter that gets ${signal}`, async () => {
    const program = join(import.meta.dir, 'starter.ts')
    // A starter that is killed can't remove a directory; this one goes with ours.
    const dir = join(services.dir, `ended-by-${signal}`)
    const starter = Bun.spawn([process.execPath, program, dir], {
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const started: unknown = JSON.parse(await firstLine(starter.stdout))
    const pids = Array.isArray(started) ? started.map(Number) : []
    expect(pids.length).toBe(2)
    expect(pids.every(isAlive)).toBe(true)
    starter.kill(signal)
    await until('both servers to end', () => !pids.some(isAlive))
  })
}

test('a process is known by more than its pid', () => {
  const redis = identify(services.redis.pid, services.dir)
  if (!redis) throw new Error('the Redis of this test is not found')
  expect(isStill(redis)).toBe(true)
  expect(isStill({ ...redis, startedAt: 'another time' })).toBe(false)
  expect(isStill({ ...redis, marker: '/another/directory' })).toBe(false)
  expect(isStill({ ...redis, pid: process.pid })).toBe(false)
})

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  for await (const chunk of stream) return new TextDecoder().decode(chunk)
  return ''
}
