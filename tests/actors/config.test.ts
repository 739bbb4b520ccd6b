import { describe, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bounds, readConfig, redisAddress, redisHint } from '../../actors/config.ts'
import { UsageError } from '../../actors/errors.ts'

describe('the environment', () => {
  test('that says nothing gives the defaults, and so does one of empty values', () => {
    const config = readConfig({})
    expect(config).toMatchObject({
      KAFKA_BROKERS: ['127.0.0.1:9092'],
      REDIS_URL: 'redis://127.0.0.1:6379',
      HOST: '127.0.0.1',
      PORT: 8080,
      EXECUTORS_MIN: 0,
      EXECUTORS_MAX: 4,
      EXECUTORS_WARM: 0,
      MILLRACE_FLEET: 'processes',
      START_FROM: 'latest',
      KAFKA_SSL: false,
      MILLRACE_PRICE_PER_EXECUTOR_HOUR: 0.05,
    })
    const empty = Object.fromEntries(Object.keys(config).map((name) => [name, '']))
    expect(readConfig(empty)).toEqual(config)
  })

  const wrong: [string, string[]][] = [
    ['KAFKA_BROKERS', ['localhost', 'a:b', 'a:1,', 'http://a:1:2', ' ']],
    ['KAFKA_SSL', ['yes', '2']],
    ['KAFKA_SASL_MECHANISM', ['PLAIN', 'oauth']],
    ['REDIS_URL', ['localhost:6379', 'http://x', 'redis://', 'redis://a b']],
    ['REDIS_URL', ['redis://:canary@a:1,b:x', 'redis+sentinel://a']],
    ['REDIS_URL_WEB', ['localhost']],
    ['REDIS_CA', ['/nowhere', import.meta.path]],
    ['REDIS_URL', ['redis://:canary@host:99999', 'redis://[canary', 'redis://u:canary@']],
    ['PORT', ['-1', '65536', '8080x', '1e3', '0x50', ' ']],
    ['EXECUTORS_MIN', ['-1', '65', 'two', '1.5']],
    ['EXECUTORS_MAX', ['65', '']],
    ['EXECUTORS_WARM', ['-1', '5', 'yes']],
    ['MILLRACE_FLEET', ['pods', 'Kubernetes']],
    ['MILLRACE_POD_TEMPLATE', ['A', '-a', 'a.b', 'a'.repeat(64)]],
    ['START_FROM', ['beginning', 'Latest']],
    ['MILLRACE_TOKEN', ['short']],
    ['MILLRACE_PRICE_PER_EXECUTOR_HOUR', ['free', '-1', '.5', '1,5', '1e9']],
    ['LOG_LEVEL', ['trace', 'INFO']],
    ['LOG_FORMAT', ['JSON', 'human', 'pretty']],
  ]
  const cases = wrong.flatMap(([name, values]) =>
    values.filter((value) => value !== '').map((value) => [name, value] as const),
  )
  test.each(cases)('with %s=%p is refused in one line that names it', (name, value) => {
    let message = ''
    try {
      readConfig({ [name]: value })
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError)
      message = (error as Error).message
    }
    expect(message).toStartWith(`${name} must`)
    expect(message).not.toContain('\n')
    expect(message).not.toContain('canary')
  })

  test('with limits the wrong way round, or half of a login, is refused', () => {
    expect(() => readConfig({ EXECUTORS_MIN: '3', EXECUTORS_MAX: '2' })).toThrow(
      'EXECUTORS_MIN must not be greater than EXECUTORS_MAX',
    )
    expect(() => readConfig({ EXECUTORS_MIN: '5' })).toThrow('EXECUTORS_MIN must not be greater')
    expect(() => readConfig({ KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'u' })).toThrow(
      'KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD beside it',
    )
  })

  test('with half of a certificate, or one that nobody would look at, is refused', () => {
    const pem = (kind: string) => {
      const file = join(tmpdir(), `millrace-config-${process.pid}.pem`)
      writeFileSync(file, `-----BEGIN ${kind}-----\n`)
      return file
    }
    const REDIS_URL = 'rediss://host'
    const alone = () => readConfig({ REDIS_URL, REDIS_CERT: pem('CERTIFICATE') })
    expect(alone).toThrow('REDIS_CERT and REDIS_KEY must be given together')
    const unread = () => readConfig({ REDIS_CA: pem('CERTIFICATE') })
    expect(unread).toThrow('REDIS_CA needs a REDIS_URL that begins with rediss')
    const read = readConfig({ REDIS_URL, REDIS_CA: pem('CERTIFICATE') })
    rmSync(read.REDIS_CA!)
  })

  test('names several brokers with spaces between', () => {
    expect(readConfig({ KAFKA_BROKERS: 'a:1, b:2' }).KAFKA_BROKERS).toEqual(['a:1', 'b:2'])
  })

  test('keeps the password of Redis out of its address', () => {
    const config = readConfig({ REDIS_URL: 'rediss://user:secret@host.example/2' })
    expect(redisAddress(config)).toBe('host.example:6379')
  })

  test('what to do about a silent Redis is what can be done about that kind', () => {
    expect(redisHint(readConfig({}))).toBe('is it running? bun run services up')
    const several = ['redis://a:7000,b:7000', 'redis+sentinel://a:26379,b/name']
    for (const REDIS_URL of several) {
      expect(redisHint(readConfig({ REDIS_URL }))).toBe(
        'bun run doctor says which of its servers is away',
      )
    }
  })
})

test('the bounds fit each other', () => {
  expect(bounds.heartbeatMs * 2).toBeLessThan(bounds.leaseMs)
  expect(bounds.readBlockMs).toBeLessThan(bounds.leaseMs)
  expect(bounds.commitWorkMs).toBeLessThan(bounds.readAheadMs + bounds.commitWorkMs)
  expect(bounds.entryRecordsMax).toBeLessThan(bounds.streamRecordsMax / 2)
  expect(bounds.entryBytes).toBeLessThan(bounds.readAheadBytesMax)
  expect(bounds.readAheadBytesMax).toBeLessThan(bounds.streamBytesMax)
  expect(bounds.commitGroupsMax).toBeLessThan(bounds.groupsMax)
  // A command that is given up is a step, also one that blocks.
  expect(bounds.readBlockMs + bounds.redisCommandTimeoutMs).toBeLessThan(bounds.hungMarginMs)
})
