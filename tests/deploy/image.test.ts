import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  mkdirSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keysOf } from '../../actors/keys.ts'
import { measure } from '../../actors/measure.ts'
import { openStore, type Store } from '../../actors/redis.ts'
import { readConfig } from '../../actors/config.ts'
import { fillTopic } from '../../bench/fill.ts'
import { commands } from '../../cli/commands.ts'
import { createTopic, type TestTopic } from '../../faults/topic.ts'
import { until } from '../../faults/until.ts'
import { packageManager, version } from '../../package.json'
import { freePort } from '../../services/ports.ts'
import { quiet } from '../supervisor/family.ts'
import { testServices } from '../support/services.ts'
import { canIsolate, context, dockerfile, filesIn, replay, root, run } from './image.ts'

const RECORDS = 2_000
const folder = mkdtempSync(join(tmpdir(), 'millrace-image-'))
const stages = dockerfile()
const last = stages.at(-1)!

/** A job of one's own, mounted beside the shipped ones. */
const job = 'jobs/mounted/job.ts'
const source = `
import { defineJob } from 'millrace'
import { students } from '../students.ts'
const { MILLRACE_TEST_JOB: name = '', MILLRACE_TEST_TOPIC: topic = '' } = process.env
export default defineJob({ ...students, name, topic })
`

let topic: TestTopic
let store: Store
let environment: Record<string, string>

beforeAll(async () => {
  const services = await testServices()
  // As a container's: anybody may look in.
  chmodSync(folder, 0o755)
  await replay(folder)
  mkdirSync(join(folder, 'jobs/mounted'))
  writeFileSync(join(folder, job), source)
  topic = await createTopic('image', { kafkaBrokers: services.kafkaBrokers, partitions: 2 })
  store = openStore(readConfig(services.environment), quiet)
  environment = {
    ...services.environment,
    MILLRACE_TEST_JOB: topic.name,
    MILLRACE_TEST_TOPIC: topic.name,
  }
}, 180_000)

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await topic.delete()
  await store.close()
})

describe('deploy/Dockerfile', () => {
  test('a base of the pinned version, several stages, not root, the command as entry point', () => {
    const bun = packageManager.replace('@', ':')
    expect(readFileSync(join(root, 'deploy/Dockerfile'), 'utf8')).toContain(
      `ARG BUN_IMAGE=oven/${bun}-slim\n`,
    )
    expect(stages.map(([from]) => from!.words[0])).toEqual(['${BUN_IMAGE}', '${BUN_IMAGE}'])
    expect(last.findLast(({ name }) => name === 'USER')!.words).toEqual(['1000:1000'])
    expect(last.findLast(({ name }) => name === 'ENTRYPOINT')!.words).toEqual(['millrace'])
    expect(last.filter(({ name }) => name === 'ADD' || name === 'EXPOSE')).toEqual([])
  })

  test('what is copied is in the context, and nothing else is', () => {
    const copied = stages
      .flat()
      .flatMap(({ name, words }) =>
        name === 'COPY' && !words[0]!.startsWith('--from') ? words.slice(0, -1) : [],
      )
    expect([...new Set(copied)].sort()).toEqual(context().sort())
    for (const name of context()) expect(existsSync(join(root, name))).toBe(true)
  })

  test('compose.yaml builds it, and runs it without rights for longer than all ends take', () => {
    const file = readFileSync(join(root, 'compose.yaml'), 'utf8')
    const { services } = Bun.YAML.parse(file) as { services: { millrace: object } }
    expect(services.millrace).toMatchObject({
      build: { context: '.', dockerfile: 'deploy/Dockerfile' },
      command: ['supervisor'],
      read_only: true,
      cap_drop: ['ALL'],
      init: true,
      stop_grace_period: '60s',
    })
  })

  test('no tests, benches, secrets or tools of development come in', () => {
    const files = filesIn(folder)
    expect(
      files.filter((file) => /^(tests|bench|faults|demo|docs|\.git|\.env)/.test(file)),
    ).toEqual([])
    for (const tool of ['typescript', '@biomejs', 'oxlint', 'playwright-core', 'bun-types']) {
      expect(existsSync(join(folder, 'node_modules', tool))).toBe(false)
    }
  })
})

describe(`its commands${canIsolate ? ', read-only and as another user' : ''}`, () => {
  const here = commands.filter(({ main }) => existsSync(join(root, main)))
  const within = new Set(context())
  const inside = here.filter(({ main }) => within.has(main.split('/')[0]!))
  const left = here.filter(({ main }) => !within.has(main.split('/')[0]!))

  test('those of a pipeline and its operator work', async () => {
    const names = inside.map(({ name }) => name)
    const roles = ['supervisor', 'executor', 'bridge', 'sinks', 'web', 'doctor', 'verify']
    expect(names).toEqual(expect.arrayContaining(roles))
    const ended = await Promise.all(
      names.map(async (name) => {
        const child = run(folder, [name, '--help'])
        const text = await new Response(child.stdout).text()
        return { name, code: await child.exited, told: text.includes(name) }
      }),
    )
    expect(ended).toEqual(names.map((name) => ({ name, code: 0, told: true })))
  }, 60_000)

  test('the others say that they are left out', async () => {
    const child = run(folder, [left[0]!.name])
    expect(await child.exited).toBe(2)
    expect(await new Response(child.stderr).text()).toBe(
      `millrace: ${left[0]!.name} is not part of this installation; a clone of the source has every command\n`,
    )
    expect(left.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['demo', 'services', 'faults', 'bench', 'check']),
    )
  })

  test('a version is told', async () => {
    const child = run(folder, ['--version'])
    expect(await new Response(child.stdout).text()).toBe(`${version}\n`)
  })
})

describe(`its roles${canIsolate ? ', read-only and as another user' : ''}`, () => {
  const snapshot = () => measure(store, keysOf(topic.name))
  const isRunning = async (kind: string) =>
    (await snapshot()).actors.some(
      (actor) => actor.kind === kind && actor.state === 'running' && actor.alive,
    )

  test('a supervisor with all of its children counts every record, and ends in order', async () => {
    const config = { KAFKA_BROKERS: topic.kafkaBrokers.split(',') }
    await fillTopic({ config, topic: topic.name, count: RECORDS, seed: 3, spanMs: 60_000 })
    const port = await freePort()
    const args = ['supervisor', job, '--from', 'earliest', '--max', '1', '--port', `${port}`]
    const child = run(folder, args, environment)
    const log = new Response(child.stderr).text()
    try {
      await until('all records', async () => (await snapshot()).totals.committed === RECORDS)
      await until('the page', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok)
    } finally {
      child.kill('SIGTERM')
      const code = await child.exited
      if (code !== 0) process.stderr.write(await log)
      expect(code).toBe(0)
    }
  }, 60_000)

  const roles = {
    supervisor: ['--fleet', 'elsewhere', '--without', 'bridge,sinks,web'],
    bridge: [],
    executor: [],
    web: ['--port', '0'],
  }

  test('each by itself, with a file that says that it lives', async () => {
    await Promise.all(Object.entries(roles).map(([role, args]) => livesAndLeaves(role, args)))
  }, 60_000)

  test('sinks, of a job that has none, say so', async () => {
    const child = run(folder, ['sinks', job], environment)
    expect(await child.exited).toBe(2)
    expect(await new Response(child.stderr).text()).toContain('declares no sinks')
  })

  async function livesAndLeaves(role: string, args: readonly string[]): Promise<void> {
    const file = canIsolate ? '/tmp/alive' : join(folder, `alive-${role}`)
    const child = run(folder, [role, job, ...args], { ...environment, MILLRACE_ALIVE_FILE: file })
    const seen = canIsolate ? `/proc/${child.pid}/root/tmp/alive` : file
    try {
      await until(`the ${role}`, () => isRunning(role))
      const first = statSync(seen).mtimeMs
      await until('the next heartbeat', () => statSync(seen).mtimeMs > first)
    } finally {
      child.kill('SIGTERM')
      const code = await child.exited
      if (code !== 0) process.stderr.write(await new Response(child.stderr).text())
      expect(code).toBe(0)
    }
  }
})
