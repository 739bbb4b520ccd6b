/** `bun run status` and `bun run top` as a person runs them, on a Redis with a job in it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { systemClock } from '../../actors/clock.ts'
import { uniqueName } from '../../faults/names.ts'
import { until } from '../../faults/until.ts'
import { freePort } from '../../services/ports.ts'
import { costSchema, executorsSchema, statusSchema } from '../../web/schemas.ts'
import { testRedisUrl } from '../support/redis.ts'
import { type Seeded, seed } from '../web/seed.ts'
import { jobNamed } from '../web/setup.ts'
import { runCommand, startCommand } from '../support/command.ts'

const root = resolve(import.meta.dir, '../..')

/** A job whose name comes from the environment. */
const file = 'tests/fixtures/jobs/students.ts'

let seeded: Seeded
beforeEach(async () => {
  seeded = await seed(jobNamed(uniqueName('status')))
})
afterEach(() => seeded.end())

const environment = (redis: string) => ({
  ...process.env,
  REDIS_URL: redis,
  MILLRACE_TEST_JOB: seeded.job.name,
  MILLRACE_TEST_TOPIC: 'records-of-status',
  NO_COLOR: '',
  TERM: 'xterm',
})

const status = (args: string[], redis = testRedisUrl) =>
  runCommand(['status/main.ts', ...args], environment(redis))

/** A leader, and an executor at work. */
async function lead() {
  const { store, keys } = seeded
  await store.call('lead', keys.base, ['leader', 's1', 60_000])
  await store.redis.hset(keys.control, { min: '0', max: '4', policy: 'backlog' })
  await seeded.actor({ id: 'e1', kind: 'executor', busy: 0.5 })
}

describe('bun run status', () => {
  test('says what is, and ends with 0 while the job runs', async () => {
    await lead()
    await seeded.records([{ at: systemClock.now(), group: ['ann', 'on'], fields: { loc: 5 } }])
    await seeded.waiting(7)
    const { out, err, code } = await status([file])
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toStartWith(`${seeded.job.name} from records-of-status: running\n`)
    expect(out).toContain('  backlog    7 in the stream (1 entry, 0 in hand)')
    expect(out).toContain('  rates      0/s in, 0/s out\n')
    expect(out).toContain('8 taken in, 1 done: 1 counted')
    expect(out).toMatch(/^ {4}e1 +running +50 %/m)
  })

  test('--json is what the API answers', async () => {
    await lead()
    const { out, code } = await status([file, '--json', '--now'])
    expect(code).toBe(0)
    const look = JSON.parse(out) as Record<string, unknown>
    expect(Object.keys(look)).toEqual(['status', 'executors', 'cost'])
    for (const [schema, answer] of [
      [statusSchema, look.status],
      [executorsSchema.entries.executors, look.executors],
      [costSchema, look.cost],
    ] as const) {
      // Nothing is missing; and the schema keeps all that it knows, so nothing is more.
      expect(v.parse<v.GenericSchema>(schema, answer)).toEqual(answer)
    }
    expect(look.status).toMatchObject({ job: seeded.job.name, rates: { inPerSecond: null } })
  })

  test('ends with 1 where no supervisor leads, and where the job is degraded', async () => {
    const stopped = await status([file, '--now'])
    expect(stopped.out).toContain('stopped, no supervisor leads\n')
    expect(stopped.code).toBe(1)
    await lead()
    await seeded.actor({ id: 'b1', kind: 'bridge', reason: 'Kafka \x1b[2Jis away' })
    const degraded = await status([file, '--now'])
    expect(degraded.out).toContain(String.raw`degraded, Kafka \u{1b}[2Jis away`)
    expect(degraded.code).toBe(1)
  })

  test('--watch: a line a look where it is no terminal', async () => {
    await lead()
    const child = startCommand(
      ['status/main.ts', file, '--watch', '--every', '250ms'],
      environment(testRedisUrl),
    )
    let out = ''
    const reading = (async () => {
      for await (const chunk of child.stdout) out += Buffer.from(chunk).toString()
    })()
    await until('three lines', () => out.split('\n').length > 3)
    child.kill()
    expect(await child.exited).toBe(143)
    await reading
    expect(out).toMatch(/^\S+Z {2}running {2}backlog 0 \+ .* in Kafka; 1 executor; /)
    expect(out).not.toContain('\x1b')
  })

  test('--watch ends when nobody reads it any more', async () => {
    await lead()
    const watching = ['status/main.ts', file, '--watch', '--every', '250ms']
    const child = startCommand(watching, environment(testRedisUrl))
    const reader = child.stdout.getReader()
    expect((await reader.read()).done).toBe(false)
    await reader.cancel()
    expect(await child.exited).toBe(0)
    expect(await new Response(child.stderr).text()).toBe('')
  })

  test('a Redis that does not answer is one line', async () => {
    const port = await freePort()
    const { out, err, code } = await status([file], `redis://127.0.0.1:${port}`)
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(err).toBe(
      `status: Redis at 127.0.0.1:${port} does not answer; is it running? bun run services up\n`,
    )
  })

  test('mistakes in the flags are named', async () => {
    for (const [args, line] of [
      [['--every', '1s'], '--every is for --watch only'],
      [['--watch', '--now'], '--watch takes no --now'],
      [['--watch', '--every', 'often'], '--every must be a duration from 250 ms to 3600 s'],
    ] as const) {
      const { err, code } = await status([...args])
      expect(code).toBe(2)
      expect(err).toStartWith(`status: ${line}`)
    }
  })
})

/** `top` on a terminal of its own. */
function onTerminal(redis = testRedisUrl, size = { cols: 100, rows: 30 }) {
  let shown = ''
  const child = Bun.spawn([process.execPath, 'status/top.ts', file], {
    cwd: root,
    env: environment(redis),
    terminal: { ...size, data: (_, data) => void (shown += Buffer.from(data).toString()) },
  })
  const frames = () => shown.split('\x1b[H').slice(1)
  return { child, terminal: child.terminal!, shown: () => shown, frames }
}

describe('bun run top', () => {
  const taken = '\x1b[?1049h'
  const givenBack = '\x1b[?25h\x1b[?1049l'

  for (const [how, end, code] of [
    ['q', (it: ReturnType<typeof onTerminal>) => it.terminal.write('q'), 0],
    ['Ctrl-C', (it: ReturnType<typeof onTerminal>) => it.terminal.write('\x03'), 0],
    ['SIGTERM', (it: ReturnType<typeof onTerminal>) => it.child.kill('SIGTERM'), 143],
  ] as const) {
    test(`draws until ${how}, and gives the terminal back`, async () => {
      await lead()
      const top = onTerminal()
      await until('two boards', () => top.frames().length > 1)
      expect(top.shown()).toStartWith(taken)
      expect(top.frames()[0]).toContain(`${seeded.job.name}\x1b[0m from records-of-status`)
      expect(top.frames()[0]).toMatch(/e1 +running +50 %/)
      end(top)
      expect(await top.child.exited).toBe(code)
      await until('the terminal', () => top.shown().endsWith(givenBack))
    })
  }

  test('a terminal of another size is drawn anew', async () => {
    await lead()
    const top = onTerminal(testRedisUrl, { cols: 100, rows: 10 })
    await until('a board', () => top.frames().length > 0)
    expect(top.frames()[0]!.split('\n').length - 1).toBeLessThan(10)
    top.terminal.resize(60, 24)
    await until('a longer board', () => top.frames().some((each) => each.split('\n').length > 14))
    top.terminal.write('q')
    expect(await top.child.exited).toBe(0)
  })

  test('is a line a look where it is no terminal', async () => {
    await lead()
    const child = startCommand(['status/top.ts', file], environment(testRedisUrl))
    const { value } = await child.stdout.getReader().read()
    child.kill()
    await child.exited
    expect(Buffer.from(value!).toString()).toMatch(/^\S+Z {2}running {2}backlog 0/)
  })

  test('what is wrong at once is told on the screen that stays', async () => {
    const top = onTerminal(`redis://127.0.0.1:${await freePort()}`)
    expect(await top.child.exited).toBe(1)
    await until('the line', () => top.shown().includes('does not answer'))
    expect(top.shown()).not.toContain(taken)
  })
})
