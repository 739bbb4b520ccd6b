/**
 * The command: its messages, and a process that outlives Redis and leaves in order.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keysOf } from '../../actors/keys.ts'
import { readConfig } from '../../actors/config.ts'
import { openStore, untilReady } from '../../actors/redis.ts'
import { freePort } from '../../services/ports.ts'
import { silent } from '../../cli/progress.ts'
import type { Server } from '../../services/server.ts'
import { startRedis } from '../../services/services.ts'
import { createStatusReader } from '../../supervisor/status-reader.ts'
import { systemClock } from '../../actors/clock.ts'
import { until } from '../../faults/until.ts'
import { dependencies, devDependencies } from '../../package.json'
import { silentLog } from './seed.ts'
import { type Environment, runCommand, startCommand } from '../support/command.ts'

const commandOf = (args: string[], environment: Environment = {}) =>
  [
    ['web/main.ts', ...args],
    { ...process.env, KAFKA_BROKERS: '127.0.0.1:9', ...environment },
  ] as const

const start = (args: string[], environment: Environment = {}) =>
  startCommand(...commandOf(args, environment))

async function outcome(args: string[], environment: Record<string, string> = {}) {
  const { code, out, err } = await runCommand(...commandOf(args, environment))
  return { code, stdout: out, stderr: err }
}

describe('messages', () => {
  test('--help', async () => {
    const { code, stdout } = await outcome(['--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('Usage: bun run web')
  })

  test.each([
    [['--prot', '1'], '--prot'],
    [['--port', 'x'], '--port'],
    [['--port', '70000'], '--port'],
    [['jobs/none.ts'], 'jobs/none.ts'],
    [['--host', '0.0.0.0'], 'MILLRACE_TOKEN'],
    [['--host', '203.0.113.1', '--port', '0'], '203.0.113.1'],
  ])('%j is one line and code 2', async (args, named) => {
    const { code, stderr } = await outcome(args)
    expect(code).toBe(2)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain(named)
  })

  test('a port in use is one line and code 1', async () => {
    const taken = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('') })
    const port = String(taken.port)
    const { code, stderr } = await outcome(['--port', port])
    await taken.stop(true)
    expect(code).toBe(1)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain(`port ${port}`)
  })
})

/** A control call by hand, whose body never comes. */
function say(port: number, header: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk.toString()))
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
    const json = ['Content-Type: application/json', 'Authorization: Bearer canary-secret-token']
    const head = ['POST /api/pause HTTP/1.1', 'Host: localhost', 'Connection: close', ...json]
    socket.write(`${[...head, header].join('\r\n')}\r\n\r\n{`)
  })
}

describe('a process', () => {
  let redis: Server
  let dir: string
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-web-'))
    redis = await startRedis({ dir, detached: false }, silent)
  })
  afterAll(async () => {
    await redis.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test('serves before, while and after Redis is there, and leaves on SIGTERM', async () => {
    const port = await freePort()
    const redisUrl = `redis://127.0.0.1:${redis.port}`
    await redis.stop()
    const child = start(['--port', String(port), '--id', 'web-1'], {
      REDIS_URL: redisUrl,
      MILLRACE_TOKEN: 'canary-secret-token',
    })
    const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
    await until('it to serve', async () => (await ask('/healthz')).status === 200)
    expect((await ask('/api/status')).status).toBe(503)
    // Far more than the server itself would take by default.
    const announced = await say(port, 'Content-Length: 300000000')
    expect(announced).toStartWith('HTTP/1.1 413 ')
    expect(announced).toContain('"code":"body_too_large"')
    await redis.start()
    await until('Redis to be seen', async () => (await ask('/api/status')).status === 200)

    const store = openStore(readConfig({ REDIS_URL: redisUrl }), silentLog)
    await untilReady(store)
    const job = { name: 'students', topic: 'cs_student_logs', sinks: [] }
    const reader = createStatusReader(store, keysOf(job.name), job, systemClock)
    const own = async () => (await reader.actors()).actors.find(({ id }) => id === 'web-1')
    await until('its heartbeat', async () => (await own())?.state === 'running')

    await redis.stop('SIGKILL')
    await until('the outage', async () => (await ask('/api/status')).status === 503)
    await redis.start()
    await until('the end of the outage', async () => (await ask('/api/status')).status === 200)

    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
    await until('its goodbye', async () => (await own())?.state === 'stopped')
    await store.close()
    const logs =
      (await new Response(child.stderr).text()) + (await new Response(child.stdout).text())
    expect(logs).not.toContain('canary-secret-token')
  }, 60_000)
})

test('what we depend on is pinned to one version, and hono is new enough', () => {
  const all = { ...dependencies, ...devDependencies }
  for (const [name, version] of Object.entries(all)) {
    expect([name, /^\d+\.\d+\.\d+$/.test(version)]).toEqual([name, true])
  }
  expect(Bun.semver.satisfies(dependencies.hono, '>=4.12.25')).toBe(true)
})
