/**
 * The real pipeline over TLS, each actor with the user of its role from deploy/redis/users.acl, and none of
 * them ever refused; then each tries what it must not do.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { readConfig } from '../../actors/config.ts'
import { isOutage, openStore, untilReady } from '../../actors/redis.ts'
import { until } from '../../faults/until.ts'
import { makeCertificates } from '../../services/certificates.ts'
import { freePort } from '../../services/ports.ts'
import { silent } from '../../cli/progress.ts'
import type { Server } from '../../services/server.ts'
import { startRedis } from '../../services/services.ts'
import { type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { silentLog } from '../support/redis.ts'
import { rejection } from '../support/rejection.ts'
import { testServices } from '../support/services.ts'
import { runCommand } from '../support/command.ts'

const T = 1_700_000_000_000
const root = join(import.meta.dir, '../..')
const password = 'canary-4711'
const lines = readFileSync(join(root, 'deploy/redis/users.acl'), 'utf8').trim().split('\n')

let dir: string
let server: Server
let admin: Redis
let tls: { port: number; ca: string }

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-users-'))
  const { ca, cert, key } = await makeCertificates(dir)
  tls = { port: await freePort(), ca }
  const redisSettings = {
    'tls-port': String(tls.port),
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-ca-cert-file': ca,
    'tls-auth-clients': 'no',
  }
  server = await startRedis({ dir, detached: false, redisSettings }, silent)
  admin = new Redis({ port: server.port, protocol: 2 })
  // Nobody can log in before a password is set: the file has none.
  await admin.call('ACL', 'SETUSER', 'admin', 'on', `>${password}`, '~*', '&*', '+@all')
  for (const line of lines) {
    const [, name, ...rules] = wordsOf(line)
    await admin.call('ACL', 'SETUSER', name!, ...rules)
    if (name !== 'default') await admin.call('ACL', 'SETUSER', name!, `>${password}`)
  }
})
afterAll(async () => {
  admin.disconnect()
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** A selector, in parentheses, is one word. */
const wordsOf = (line: string): string[] => line.match(/\([^)]*\)|\S+/g) ?? []

const urlOf = (user: string) => `rediss://${user}:${password}@127.0.0.1:${tls.port}`

const environmentOf = (user: string, kafkaBrokers: string) => ({
  KAFKA_BROKERS: kafkaBrokers,
  REDIS_URL: urlOf(user),
  REDIS_CA: tls.ca,
})

/** Who was refused what since the last look. */
async function refused(): Promise<string[]> {
  const log = (await admin.call('ACL', 'LOG')) as string[][]
  await admin.call('ACL', 'LOG', 'RESET')
  return log.map((entry) => {
    const of = (name: string) => entry[entry.indexOf(name) + 1]
    return `${of('username')}: ${of('reason')} ${of('object')} (${of('context')})`
  })
}

async function tool(pipeline: Pipeline, ...command: string[]): Promise<string> {
  const environment = environmentOf('millrace-tools', pipeline.topic.kafkaBrokers)
  const names = { MILLRACE_TEST_JOB: pipeline.name, MILLRACE_TEST_TOPIC: pipeline.topic.name }
  const { out, err } = await runCommand(command, {
    PATH: process.env.PATH ?? '',
    TEST_WAREHOUSE: 'postgres://127.0.0.1:1/x',
    ...names,
    ...environment,
  })
  return out + err
}

test('a pipeline of users, over TLS, is refused nothing', async () => {
  const { kafkaBrokers } = await testServices()
  const services = {
    kafkaBrokers,
    redisUrl: urlOf('millrace-supervisor'),
    environment: environmentOf('millrace-supervisor', kafkaBrokers),
  }
  const direct = { ...services, environment: environmentOf('admin', kafkaBrokers) }
  const directory = join(dir, 'windows')
  mkdirSync(directory)
  const environment = {
    REDIS_URL_BRIDGE: urlOf('millrace-bridge'),
    REDIS_URL_EXECUTOR: urlOf('millrace-executor'),
    REDIS_URL_WEB: urlOf('millrace-web'),
    REDIS_URL_SINKS: urlOf('millrace-sinks'),
    MILLRACE_EXECUTORS_TOTAL: '4',
    TEST_DIRECTORY: directory,
    TEST_WAREHOUSE: 'postgres://127.0.0.1:1/x',
  }
  const quotas = ['--quota-records-per-second', '100000', '--quota-memory-mib', '500']
  const args = ['--from', 'earliest', ...quotas]
  const options = { label: 'users', job: 'sinking.ts', services, direct, environment, args }
  await withPipeline({ ...options, topic: { partitions: 2 } }, async (pipeline) => {
    await pipeline.begin()
    await pipeline.topic.produce([
      ...Array.from({ length: 2_000 }, (_, i) =>
        JSON.stringify({ at: T + i * 50, who: `w${i % 7}`, amount: i, pad: 'x'.repeat(100) }),
      ),
      '{"no":"record"}',
    ])
    await pipeline.drained()
    const taken = async () => Object.keys(await pipeline.store.redis.hgetall(pipeline.keys.taken))
    await until('a window in the files', async () => (await taken()).includes('files'))
    await pipeline.post('/api/executors', { min: 1, max: 2 })
    await pipeline.post('/api/quotas', { recordsPerSecond: 200_000 })
    await pipeline.get('/api/jobs')
    await pipeline.post('/api/pause')
    await pipeline.post('/api/resume')
    const [executor] = await until('an executor', async () => {
      const living = await pipeline.alive('executor')
      return living.length > 0 ? living : null
    })
    process.kill(executor!.pid, 'SIGKILL')
    await pipeline.topic.produce([JSON.stringify({ at: T + 200_000, who: 'late', amount: 1 })])
    await pipeline.drained()
    const file = pipeline.jobFile
    const [verified, status, rejects, doctor] = await Promise.all([
      tool(pipeline, 'verify/main.ts', file, '--wait', '30'),
      tool(pipeline, 'status/main.ts', file),
      tool(pipeline, 'rejects/main.ts', 'list', file),
      tool(pipeline, 'doctor/main.ts', file),
    ])
    expect(verified).toMatch(/lost 0, duplicated 0/)
    expect(status).toContain(pipeline.name)
    expect(rejects).toMatch(/schema/)
    expect(doctor).not.toMatch(/NOPERM/)
    await pipeline.stop()
    expect(await refused()).toEqual([])
    expect(pipeline.logLines(/canary-4711|NOPERM/)).toEqual([])
  })
}, 60_000)

describe('a user is refused what is not its own:', () => {
  const job = 'millrace:{refused/0}'
  const everybody = [
    ['FLUSHALL'],
    ['KEYS', '*'],
    ['CONFIG', 'SET', 'appendonly', 'no'],
    ['ACL', 'WHOAMI'],
    ['SHUTDOWN'],
    ['GET', 'another:key'],
    ['SET', 'another:key', '1'],
  ]
  const library = '#!lua name=refused\nredis.register_function("refused", function() return 1 end)'
  const notLoading = [
    ['FUNCTION', 'LOAD', library],
    ['FUNCTION', 'FLUSH'],
  ]
  const closing = [
    ['XADD', `${job}:closed`, '*', 'rows', ''],
    ['HSET', `${job}:clock`, 'closedTo', '0'],
    ['SET', `${job}:leader`, 'me'],
  ]
  const counting = [
    ['HSET', `${job}:pane:0`, 'group', 'cells'],
    ['HSET', `${job}:totals`, 'counted', '1'],
  ]
  const reading = [
    ['XREADGROUP', 'GROUP', 'executors', 'me', 'STREAMS', `${job}:entries`, '>'],
    ['DEL', `${job}:entries`],
    ['HSET', `${job}:ledger`, '0:next', '0'],
    ['XADD', `${job}:entries`, '*', 'd', ''],
  ]
  const users: Record<string, string[][]> = {
    supervisor: [
      ['FUNCTION', 'FLUSH'],
      ['EVAL', 'return 1', '0'],
      ['SCAN', '0'],
    ],
    bridge: [...notLoading, ...closing, counting[0]!, reading[0]!, reading[1]!],
    executor: [
      ...notLoading,
      ...closing,
      ['DEL', `${job}:ledger`],
      ['HSET', `${job}:control`, 'max', '9'],
    ],
    web: [...notLoading, ...closing, ...counting, ...reading],
    sinks: [...notLoading, ...closing, ...counting, ...reading],
    tools: [...notLoading, ...closing, ...counting, ...reading],
  }
  for (const [user, own] of Object.entries(users)) {
    test(user, async () => {
      const config = readConfig({ REDIS_URL: urlOf(`millrace-${user}`), REDIS_CA: tls.ca })
      const store = openStore(config, silentLog)
      try {
        await untilReady(store)
        for (const [name, ...args] of [...everybody, ...own]) {
          const refusal = store.redis.call(name!, ...args).catch((error: Error) => error.message)
          expect(await refusal, [name, ...args].join(' ')).toMatch(/^NOPERM/)
        }
      } finally {
        await store.close()
      }
    })
  }
})

test('a certificate of somebody else is not believed', async () => {
  const other = join(dir, 'other')
  mkdirSync(other)
  const { ca } = await makeCertificates(other)
  const store = openStore(readConfig({ REDIS_URL: urlOf('admin'), REDIS_CA: ca }), silentLog)
  const errors: string[] = []
  store.redis.on('error', (error: Error) => errors.push(error.message))
  try {
    await until('it to be refused', () =>
      errors.some((text) => /certificate|signature/i.test(text)),
    )
    expect(isOutage(await rejection(store.redis.ping()))).toBe(true)
  } finally {
    await store.close()
  }
})
