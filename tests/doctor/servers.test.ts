/**
 * `bun run doctor` and the supervisor's start against real servers that are not as they should be.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import type { Finding } from '../../doctor/finding.ts'
import { uniqueName } from '../../faults/names.ts'
import { createTopic, type TestTopic } from '../../faults/topic.ts'
import { freePort } from '../../services/ports.ts'
import { silent } from '../../cli/progress.ts'
import type { Server } from '../../services/server.ts'
import { startRedis } from '../../services/services.ts'
import { connect } from '../support/redis.ts'
import { testServices } from '../support/services.ts'
import { type Environment, runCommand } from '../support/command.ts'

const shared = await testServices()
/** It answers within 5 s; the rest is for a busy machine on which processes start slowly. */
const promptMs = 12_000
const jobFile = 'faults/jobs/students.ts'

let dir: string
let topic: TestTopic
const servers: Server[] = []

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-doctor-'))
  topic = await createTopic('doctor', { kafkaBrokers: shared.kafkaBrokers })
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  await topic.delete()
  rmSync(dir, { recursive: true, force: true })
})

describe('doctor', () => {
  test('good servers: nothing fatal, each thing named, exit code 0', async () => {
    const { code, findings } = await doctor({})
    expect(fatals(findings)).toEqual([])
    expect(code).toBe(0)
    const names = findings.map(({ what }) => what)
    for (const what of ['job', 'Redis version', 'functions', 'Kafka', 'topic', 'ledger']) {
      expect(names).toContain(what)
    }
    const text = await run(['doctor/main.ts', jobFile])
    expect(text.out).toContain('the job can run')
    expect(text.code).toBe(0)
  })

  test('neither server is there: one finding each, and the other checks', async () => {
    const [redis, kafka] = [await freePort(), await freePort()]
    const { code, findings, ms } = await doctor({
      REDIS_URL: `redis://user:canary-4711@127.0.0.1:${redis}`,
      KAFKA_BROKERS: `127.0.0.1:${kafka}`,
    })
    expect(code).toBe(1)
    expect(fatals(findings)).toEqual(['Redis', 'Kafka'])
    expect(foundOf(findings, 'Redis')).toContain(`127.0.0.1:${redis}`)
    expect(foundOf(findings, 'Kafka')).toContain(`127.0.0.1:${kafka}`)
    expect(JSON.stringify(findings)).not.toContain('canary')
    expect(findings.map(({ what }) => what)).toContain('memory')
    expect(ms).toBeLessThan(promptMs)
  })

  test('servers that take connections and say nothing do not hold it up', async () => {
    const silence = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    const { code, findings, ms } = await doctor({
      REDIS_URL: `redis://127.0.0.1:${silence.port}`,
      KAFKA_BROKERS: `127.0.0.1:${silence.port}`,
    })
    silence.stop(true)
    expect(code).toBe(1)
    expect(fatals(findings)).toEqual(['Redis', 'Kafka'])
    expect(ms).toBeLessThan(promptMs)
  })

  test('a Redis that evicts and keeps nothing', async () => {
    const settings = { 'maxmemory-policy': 'allkeys-lru', appendonly: 'no', maxmemory: '64mb' }
    const { findings } = await doctor({ REDIS_URL: await redisWith(settings) })
    expect(fatals(findings)).toEqual(['maxmemory-policy'])
    const warned = findings.filter(({ level }) => level === 'warning').map(({ what }) => what)
    expect(warned).toContain('append-only file')
    expect(warned).toContain('Redis memory')
  })

  test('a replica', async () => {
    const [host, port] = new URL(shared.redisUrl).host.split(':')
    const url = await redisWith({ replicaof: `${host} ${port}` })
    const { findings } = await doctor({ REDIS_URL: url })
    expect(fatals(findings)).toEqual(['Redis role'])
  })

  test('a wrong password, and none', async () => {
    const url = await redisWith({}, ['CONFIG', 'SET', 'requirepass', 'right'])
    for (const given of [url, url.replace('//', '//:wrong@')]) {
      const { findings } = await doctor({ REDIS_URL: given })
      expect(fatals(findings)).toEqual(['Redis'])
      expect(foundOf(findings, 'Redis')).toMatch(/refuses us: (NOAUTH|WRONGPASS)/)
    }
    expect(fatals((await doctor({ REDIS_URL: url.replace('//', '//:right@') })).findings)).toEqual(
      [],
    )
  })

  test('a user who may not call functions, nor see settings', async () => {
    const url = await redisForUser('~* +@all -config -fcall -function')
    const { findings } = await doctor({ REDIS_URL: url })
    expect(fatals(findings)).toEqual(['functions'])
    expect(foundOf(findings, 'functions')).toContain('NOPERM')
    expect(findings).toContainEqual(
      expect.objectContaining({ what: 'Redis settings', level: 'hint' }),
    )
  })

  test('a topic that is not there yet, and a Kafka address that is not', async () => {
    const missing = { MILLRACE_TEST_TOPIC: uniqueName('missing') }
    const { code, findings } = await doctor(missing)
    expect(code).toBe(0)
    expect(findings).toContainEqual(expect.objectContaining({ what: 'topic', level: 'warning' }))
    const brokers = `${shared.kafkaBrokers},127.0.0.1:${await freePort()}`
    const half = await doctor({ KAFKA_BROKERS: brokers })
    expect(half.code).toBe(0)
    expect(half.findings).toContainEqual(
      expect.objectContaining({ what: 'Kafka', level: 'warning' }),
    )
  })

  test('a job file that can’t be loaded, and a page without a token', async () => {
    const file = join(dir, 'broken.ts')
    writeFileSync(file, 'export default 1 +')
    const { code, findings } = await doctor({ HOST: '0.0.0.0' }, [file])
    expect(code).toBe(1)
    expect(fatals(findings)).toEqual(['job', 'web page'])
    expect(findings.map(({ what }) => what)).toContain('Kafka')
  })

  test('a mistake in the command is exit code 2', async () => {
    expect((await run(['doctor/main.ts', '--jsn'])).code).toBe(2)
    expect((await run(['doctor/main.ts'], { REDIS_URL: 'nowhere' })).code).toBe(2)
  })
})

describe('supervisor', () => {
  const start = (environment: Record<string, string>) =>
    run(['supervisor/main.ts', jobFile, '--port', '0'], environment)

  const refusals: [string, Record<string, string>, RegExp][] = [
    ['evicts', { 'maxmemory-policy': 'volatile-lru' }, /volatile-lru.*noeviction/],
    ['is a replica', { replicaof: '127.0.0.1 1' }, /replica of 127\.0\.0\.1:1.*set REDIS_URL/],
  ]
  for (const [title, settings, says] of refusals) {
    test(`refuses a Redis that ${title}, in one line`, async () => {
      const { code, err } = await start({ REDIS_URL: await redisWith(settings) })
      expect(code).toBe(1)
      const lines = err.trim().split('\n')
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(says)
    })
  }

  test('refuses where it may not call functions, and says what to allow', async () => {
    const url = await redisForUser('~* +@all -fcall -function')
    const { code, err } = await start({ REDIS_URL: url })
    expect(code).toBe(1)
    expect(err).toMatch(/NOPERM.*ACL SETUSER/)
  })

  test('refuses to show the page to everybody', async () => {
    const { code, err } = await start({ HOST: '0.0.0.0' })
    expect(code).toBe(2)
    expect(err).toMatch(/MILLRACE_TOKEN/)
  })
})

/** The URL of a private Redis with these settings, which was given a command. */
async function redisWith(settings: Record<string, string>, command?: string[]): Promise<string> {
  const place = join(dir, String(servers.length))
  const options = { dir: place, detached: false, redisSettings: settings }
  const server = await startRedis(options, silent)
  servers.push(server)
  const url = `redis://127.0.0.1:${server.port}`
  if (command) {
    const store = await connect({}, url)
    await store.redis.call(command[0]!, ...command.slice(1))
    await store.close()
  }
  return url
}

/** As a user with these rules sees it. */
async function redisForUser(rules: string): Promise<string> {
  const command = ['ACL', 'SETUSER', 'limited', 'on', '>secret', ...rules.split(' ')]
  return (await redisWith({}, command)).replace('//', '//limited:secret@')
}

async function doctor(environment: Record<string, string>, args: string[] = [jobFile]) {
  const started = systemClock.elapsed()
  const { code, out, err } = await run(['doctor/main.ts', ...args, '--json'], environment)
  const ms = systemClock.elapsed() - started
  if (!out.startsWith('{')) throw new Error(`doctor: ${err}`)
  const { findings } = JSON.parse(out) as { findings: Finding[] }
  // Whatever is not well says what to do.
  expect(findings.filter(({ level, todo }) => level === 'fatal' && !todo)).toEqual([])
  return { code, findings, ms }
}

const run = (command: string[], environment: Environment = {}) =>
  runCommand(command, {
    PATH: process.env.PATH ?? '',
    MILLRACE_TEST_JOB: topic.name,
    MILLRACE_TEST_TOPIC: topic.name,
    ...shared.environment,
    ...environment,
  })

const fatals = (findings: Finding[]) =>
  findings.filter(({ level }) => level === 'fatal').map(({ what }) => what)

const foundOf = (findings: Finding[], what: string) =>
  findings.find((finding) => finding.what === what)?.found
