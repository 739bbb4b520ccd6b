/** `bun run why` as a person runs it, on a Redis with decisions in it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { freePort } from '../../services/ports.ts'
import { recordDecision, recordEffect } from '../../supervisor/decisions.ts'
import { Loop } from '../../supervisor/loop.ts'
import type { Decision } from '../../supervisor/reasons.ts'
import { until } from '../../faults/until.ts'
import { openPlace, type Place, testRedisUrl } from '../support/redis.ts'
import { runCommand, startCommand } from '../support/command.ts'

/** A job whose name comes from the environment. */
const file = 'tests/fixtures/jobs/students.ts'

let place: Place
beforeEach(async () => {
  place = await openPlace('why')
})
afterEach(() => place.end())

const commandOf = (args: string[], redis = testRedisUrl) =>
  [
    ['supervisor/why.ts', ...args],
    {
      ...process.env,
      REDIS_URL: redis,
      MILLRACE_TEST_JOB: place.name,
      MILLRACE_TEST_TOPIC: 'records-of-why',
    },
  ] as const

const run = (args: string[], redis?: string) => runCommand(...commandOf(args, redis))

const decision = (from: number, to: number, ago: number): Decision => ({
  at: systemClock.now() - ago,
  from,
  to,
  reason: to > from ? 'backlog' : 'quiet',
  sentence: `${from} → ${to}: because of ${ago}`,
  inputs: { backlog: 57, arrivalsPerSecond: 19.5, neededCalmly: null },
})

async function keep(each: Decision, effectMs?: number): Promise<string> {
  const { store, keys } = place
  const id = await recordDecision(store, keys, each)
  if (effectMs !== undefined) {
    await recordEffect(store, keys, { id, direction: 'out', ms: effectMs })
  }
  return id
}

/** A leader that has just decided to hold. */
async function lead() {
  const { store, keys } = place
  await store.call('lead', keys.base, ['leader', 's1', 60_000])
  await store.redis.hset(keys.control, { min: '0', max: '4', policy: 'backlog' })
  const loop = new Loop('s1', store, keys, systemClock)
  loop.decided({ ...decision(1, 1, 0), reason: 'hold', sentence: '1 executor stays' }, true)
  await loop.ends({ actors: [] } as unknown as Parameters<Loop['ends']>[0], [])
}

describe('bun run why', () => {
  test('says what is true now and the last decisions, the newest last', async () => {
    await keep(decision(0, 1, 900_000), 310)
    await keep(decision(1, 2, 90_000), 420)
    await keep(decision(2, 1, 30_000))
    await lead()
    const { out, err, code } = await run([file, '--last', '2'])
    expect({ err, code }).toEqual({ err: '', code: 0 })
    const [now, ...blocks] = out.trimEnd().split('\n\n')
    expect(now).toContain(`${place.name} from records-of-why: running`)
    expect(now).toContain('0 executors (min 0, max 4, policy backlog)')
    expect(now).toMatch(/unchanged for 3\d s: 1 executor stays {2}\[hold\]/)
    expect(blocks).toHaveLength(2)
    expect(blocks[0]).toMatch(
      /1 min 3\d s ago\) {2}1 → 2 {2}\[backlog\] {2}in effect after 420 ms\n/,
    )
    expect(blocks[0]).toContain('1 → 2: because of 90000')
    expect(blocks[0]).toContain('backlog 57 · arrivals per second 19.5')
    expect(blocks[1]).toMatch(/2 → 1 {2}\[quiet\] {2}not in effect yet\n/)
  })

  test('as JSON, and only of the time that is asked for', async () => {
    await keep(decision(0, 1, 900_000), 310)
    await keep(decision(1, 2, 90_000), 420)
    await lead()
    const { out } = await run([file, '--since', '10m', '--json'])
    expect(JSON.parse(out)).toMatchObject({
      job: place.name,
      state: 'running',
      now: { reason: 'hold', sentence: '1 executor stays' },
      decisions: [{ from: 1, to: 2, effectMs: 420, inputs: { backlog: 57, neededCalmly: null } }],
    })
    expect((await run([file, '--since', '20s'])).out).toContain('no decision in that time')
  })

  test('goes on with what is decided, and with what has taken effect', async () => {
    await keep(decision(0, 1, 1_000), 310)
    const child = startCommand(...commandOf([file, '--follow', '--json']))
    const lines: { to: number; effectMs: number | null }[] = []
    const reading = (async () => {
      let text = ''
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += chunk
        const whole = text.split('\n')
        text = whole.pop()!
        lines.push(...whole.map((line) => JSON.parse(line) as (typeof lines)[number]))
      }
    })()
    try {
      await until('the decision of before', () => lines.length === 1)
      const id = await keep(decision(1, 3, 0))
      await until('the new decision', () => lines.length === 2)
      await recordEffect(place.store, place.keys, { id, direction: 'out', ms: 77 })
      await until('its effect', () => lines.length === 3)
    } finally {
      child.kill()
      await reading
    }
    expect(lines.map(({ to, effectMs }) => [to, effectMs])).toEqual([
      [1, 310],
      [3, null],
      [3, 77],
    ])
  })

  test('nothing is there: says what to do', async () => {
    const { out, code } = await run([file])
    expect(code).toBe(0)
    expect(out).toContain('no supervisor leads')
    expect(out).toMatch(/no decision of job \S+ is kept: start it with bun run supervisor/)
  })

  test('Redis away: one line that names it, exit code 1', async () => {
    const port = await freePort()
    const { out, err, code } = await run([file], `redis://127.0.0.1:${port}`)
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(err).toBe(
      `why: Redis at 127.0.0.1:${port} does not answer; is it running? bun run services up\n`,
    )
  })

  test.each([
    [['--last', '0'], '--last must be a number from 1 to 1000, not "0"'],
    [['--last', '1.5'], '--last must be a whole number, not "1.5"'],
    [['--since', '10'], '--since must be such as 30s, 10m, 2h or 1d, not "10"'],
    [['jobs/none.ts'], 'job file jobs/none.ts does not exist'],
    [['--lst', '3'], "Unknown option '--lst'; see --help"],
  ])('refuses %j', async (args, message) => {
    expect(await run(args)).toEqual({ out: '', err: `why: ${message}\n`, code: 2 })
  })
})
