/**
 * Secrets stay where they belong: canaries as the password of a real Redis, of a real Kafka (SASL) and as
 * the token are in no log line at debug level, in no answer, in no command line; neither at work, nor
 * while Redis is away, nor where they are refused.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../actors/config.ts'
import { openStore, untilReady } from '../../actors/redis.ts'
import { fill } from '../../faults/load.ts'
import type { Addresses } from '../../faults/pipeline.ts'
import { until } from '../../faults/until.ts'
import { freePort } from '../../services/ports.ts'
import { silent } from '../../cli/progress.ts'
import { type Services, startServices } from '../../services/services.ts'
import { silentLog } from '../support/redis.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

const canary = {
  redis: 'canary-redis-4711',
  kafka: 'canary-kafka-4712',
  token: 'canary-token-4713',
}
const secrets = {
  KAFKA_SASL_MECHANISM: 'plain',
  KAFKA_SASL_USERNAME: 'millrace',
  KAFKA_SASL_PASSWORD: canary.kafka,
  MILLRACE_TOKEN: canary.token,
  LOG_LEVEL: 'debug',
}
const users = `org.apache.kafka.common.security.plain.PlainLoginModule required user_millrace="${canary.kafka}";`

let dir: string
let servers: Services
/** As the pipeline has to reach them, and without Kafka's password. */
let guarded: Addresses
let open: Addresses

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-secrets-'))
  const port = await freePort()
  servers = await startServices({
    log: silent,
    dir,
    kafkaProxied: { port, proxyPort: port },
    kafkaSettings: {
      'listener.security.protocol.map':
        'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:SASL_PLAINTEXT',
      'listener.name.proxied.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.proxied.plain.sasl.jaas.config': users,
    },
  })
  await setPassword()
  const redisUrl = servers.redisUrl.replace('redis://', `redis://:${canary.redis}@`)
  const of = (kafkaBrokers: string): Addresses => ({
    kafkaBrokers,
    redisUrl,
    environment: { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl },
  })
  guarded = of(`127.0.0.1:${port}`)
  open = of(servers.kafkaBrokers)
}, 120_000)

afterAll(async () => {
  await servers.stop()
  rmSync(dir, { recursive: true, force: true })
}, 60_000)

/** After its start, so that it is not on Redis's own command line. */
async function setPassword(): Promise<void> {
  const store = openStore(readConfig({ REDIS_URL: servers.redisUrl }), silentLog)
  await untilReady(store)
  await store.redis.config('SET', 'requirepass', canary.redis)
  await store.close()
}

test('of a pipeline at work, without its Redis, and again with it', async () => {
  const options = { label: 'secrets', job: 'students.ts', services: guarded, direct: open }
  await withPipeline({ ...options, environment: secrets }, async (pipeline) => {
    await pipeline.begin()
    await pipeline.post('/api/executors', { min: 1, max: 2 })
    await fill(pipeline, 500)
    await pipeline.drained()
    const kinds = ['supervisor', 'bridge', 'executor', 'web']
    const commands = pipeline.processes().map(({ command }) => command)
    if (process.platform === 'linux') {
      for (const kind of kinds) expect(commands.join('\n')).toContain(`${kind}/main.`)
    }
    // Among all that it asks for is a pause, which may cost an executor its place.
    await expectKept(pipeline, 200)

    await servers.redis.stop('SIGKILL')
    const away = async () => (await pipeline.fetch('/api/status')).status === 503
    await until('the outage', away)
    await expectKept(pipeline, 503)
    await servers.redis.start()
    await setPassword()
    await until('its end', async () => (await pipeline.fetch('/api/status')).status === 200)
    expect(pipeline.logLines(/"level":"debug"/)).not.toEqual([])
    expect(pipeline.logLines(/canary/)).toEqual([])
  })
}, 120_000)

/** No route, asked rightly or wrongly, with a token or without, and no command line tells one. */
async function expectKept(pipeline: Pipeline, status: number): Promise<void> {
  const document = await pipeline.get<{ paths: Record<string, object> }>('/openapi.json')
  const paths = Object.keys(document.paths).filter((path) => path !== '/api/events')
  const asked = [...paths, '/', '/app.js', '/openapi.json', '/nothing', '/api/windows?limit=x']
  expect((await pipeline.fetch('/api/windows')).status).toBe(status)
  for (const path of asked) {
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      for (const token of [canary.token, 'wrong-token']) {
        const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
        const answer = await fetch(`${pipeline.url}${path}`, { method, headers })
        const text = JSON.stringify([...answer.headers]) + (await answer.text())
        expect([path, method, text.includes('canary')]).toEqual([path, method, false])
      }
    }
  }
  expect(await eventsOf(pipeline)).not.toContain('canary')
  for (const { command } of pipeline.processes()) expect(command).not.toContain('canary')
}

/** The first events, of a look that worked or of one that did not. */
async function eventsOf(pipeline: Pipeline): Promise<string> {
  const gone = new AbortController()
  const answer = await fetch(`${pipeline.url}/api/events`, { signal: gone.signal })
  const reader = answer.body!.getReader()
  const decoder = new TextDecoder()
  let text = ''
  while (!/event: (status|outage)/.test(text)) {
    text += decoder.decode((await reader.read()).value, { stream: true })
  }
  gone.abort()
  return text
}

/** What is refused is a secret too: mostly the right one but for a letter. */
const wrong = 'canary-wrong-4714'

test.each([
  ['web/main.ts', ['--port', '0'], 'Redis', /WRONGPASS/],
  ['actors/executor/main.ts', [], 'Redis', /WRONGPASS/],
  ['actors/bridge/main.ts', [], 'Redis', /WRONGPASS/],
  ['actors/bridge/main.ts', [], 'Kafka', /authentication failed/i],
  ['supervisor/main.ts', ['--no-web'], 'Redis', /WRONGPASS/],
  ['doctor/main.ts', [], 'Redis', /WRONGPASS/],
  ['doctor/main.ts', [], 'Kafka', /authentication failed/i],
] as const)(
  'of %s with %j, whose password for %s is refused',
  async (script, flags, server, said) => {
    const environment = {
      ...guarded.environment,
      ...secrets,
      ...(server === 'Kafka'
        ? { KAFKA_SASL_PASSWORD: wrong }
        : { REDIS_URL: guarded.redisUrl.replace(canary.redis, wrong) }),
    }
    const log = join(dir, `${script.replaceAll('/', '-')}-${server}.log`)
    const child = Bun.spawn([process.execPath, script, ...flags], {
      cwd: join(import.meta.dir, '../..'),
      env: { ...process.env, ...environment },
      stdout: Bun.file(log),
      stderr: Bun.file(log),
    })
    expect(commandOf(child.pid)).not.toContain('canary')
    const text = () => readFileSync(log, 'utf8')
    await until('it to say what is wrong', () => said.test(text()), { timeoutMs: 20_000 })
    child.kill('SIGKILL')
    await child.exited
    expect(text()).not.toContain('canary')
  },
  60_000,
)

/** The arguments that everybody on the machine can read; on Linux only. */
const commandOf = (pid: number): string =>
  process.platform === 'linux' ? readFileSync(`/proc/${pid}/cmdline`, 'latin1') : ''
