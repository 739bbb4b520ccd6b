/** `bun run simulate` as a person meets it. */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { keepSample } from '../../supervisor/measurements.ts'
import { recordDecision } from '../../supervisor/decisions.ts'
import type { Result } from '../../simulate/contest.ts'
import { scenarios } from '../../simulate/scenarios.ts'
import { openPlace, testRedisUrl } from '../support/redis.ts'
import { type Environment, runCommand } from '../support/command.ts'

setDefaultTimeout(30_000)

const root = resolve(import.meta.dir, '..', '..')
const dir = mkdtempSync(join(tmpdir(), 'millrace-simulate-'))
afterAll(() => rmSync(dir, { recursive: true }))

const run = (args: string[], environment: Environment = {}) =>
  runCommand(['simulate/main.ts', ...args], { ...process.env, ...environment })

test('--list names every scenario with what it is about', async () => {
  const { code, out } = await run(['--list'])
  expect(code).toBe(0)
  const lines = out.trimEnd().split('\n')
  expect(lines.length).toBe(scenarios.length)
  for (const [i, { name, about }] of scenarios.entries()) {
    expect(lines[i]).toStartWith(name)
    expect(lines[i]).toEndWith(about)
  }
})

for (const [what, args, message] of [
  ['an unknown scenario', ['nights'], 'no scenario "nights"; see --list'],
  ['an unknown flag', ['--nonsense'], "Unknown option '--nonsense'; see --help"],
  [
    'an unknown policy',
    ['--policy', 'backlog,best'],
    '--policy must be of backlog, spark, fixed, plan, optimum, not "best"',
  ],
  ['no number', ['--max', 'many'], '--max must be a number from 1 to 64, not "many"'],
  ['limits that cross', ['--min', '3', '--max', '2'], '--min must not be greater than --max'],
  [
    'a rate without a duration',
    ['--rate', '10'],
    '--rate must be records a second and a duration for each step, such as 10:30s,40:30s,0:45s, not "10"',
  ],
  [
    'a delay without a unit',
    ['--max-result-delay', '2'],
    '--max-result-delay must be a duration from 100 ms to 3600 s, such as 2s or 500ms, not "2"',
  ],
  ['two loads', ['demo', '--rate', '1:1s'], '--rate is a load of its own, without scenarios'],
  [
    'two recordings',
    ['--replay', '--record', 'x'],
    '--replay, --record and --replay-file exclude each other',
  ],
  [
    'a load for a recording',
    ['--replay', '--rate', '1:1s'],
    'a recording has its own load: --rate and --cost do not go with it',
  ],
  ['a job that is not there', ['--replay', 'none.ts'], 'job file none.ts does not exist'],
] as const) {
  test(`${what} ends with code 2 and one line`, async () => {
    const { code, out, err } = await run([...args])
    expect({ code, out, err }).toEqual({ code: 2, out: '', err: `simulate: ${message}\n` })
  })
}

test('plays a scenario in each way, as a table', async () => {
  const { code, out } = await run(['demo'])
  expect(code).toBe(0)
  const rows = out.split('\n').filter((line) => / (s|h) │ /.test(line))
  const ways = rows.map((row) => row.split('│')[1]!.trim())
  expect(ways).toEqual(['backlog', 'spark', 'fixed', 'plan', 'optimum'])
  expect(out).toContain('420.0 s')
})

test('a load of one’s own, as JSON, with a price; the same by the same seed', async () => {
  const args = ['--rate', '10:20s,0:20s', '--cost', '50', '--json', '--price', '3.6', '--max', '2']
  const first = await run([...args, '--policy', 'fixed,backlog'])
  expect(first.code).toBe(0)
  const { results } = JSON.parse(first.out) as { results: Result[] }
  const [fixed, backlog] = results as [Result, Result]
  // Two executors for 40 s at 3.6 an hour, which is 0.001 a second.
  expect(fixed).toMatchObject({
    way: 'fixed',
    records: 200,
    delayMs: { p50: 50, p99: 50, max: 50 },
    cost: { executorSeconds: 80, savedShare: 0, money: { used: 0.08, saved: 0 } },
  })
  expect(backlog.cost.savedShare).toBeGreaterThan(0)
  expect((await run([...args, '--policy', 'fixed,backlog'])).out).toBe(first.out)
})

test('--timeline draws what happened, with each decision’s sentence', async () => {
  const { code, out } = await run(['demo', '--policy', 'backlog', '--timeline'])
  expect(code).toBe(0)
  expect(out).toContain('1 record waits and nobody runs')
  expect(out).toContain('no record for 10 s')
  expect(out).toMatch(/ 40\.0\/s .*█.*●●/)
})

/** Ten records a second for a minute, then a hole, as a supervisor would have kept it. */
async function record(name: string) {
  const place = await openPlace(name)
  for (let second = 0; second <= 90; second++) {
    if (second > 60 && second < 80) continue
    const done = 10 * Math.min(second, 60)
    await keepSample(place.store, place.keys, {
      at: 1_800_000_000_000 + second * 1_000,
      arrived: done,
      committed: done,
      busyUs: done * 70_000,
      waiting: 0,
      kafkaLag: 0,
      running: 1,
      target: second < 85 ? 1 : 0,
      min: 0,
      max: 3,
      policy: 'backlog',
      watermark: null,
      resultP50: null,
      resultP99: null,
      eventP50: null,
      eventP99: null,
    })
  }
  await recordDecision(place.store, place.keys, {
    at: 1_800_000_085_000,
    from: 1,
    to: 0,
    reason: 'quiet',
    sentence: '1 → 0 executors: no record for 10 s',
    inputs: {},
  })
  return place
}

test('--record keeps what Redis has, --replay plays it beside what really happened', async () => {
  const place = await record('replayed')
  const job = join(dir, 'job.ts')
  const shipped = JSON.stringify(join(root, 'jobs/students.ts'))
  writeFileSync(
    job,
    `import students from ${shipped}\nexport default { ...students, name: ${JSON.stringify(place.name)} }\n`,
  )
  const environment = { REDIS_URL: testRedisUrl }
  const kept = join(dir, 'trace.jsonl')
  const written = await run(['--record', kept, job], environment)
  expect(written).toEqual({ code: 0, out: `72 measurements in ${kept}\n`, err: '' })
  expect(readFileSync(kept, 'utf8').trimEnd().split('\n').length).toBe(72 + 1)

  const fromRedis = await run(['--replay', job, '--timeline'], environment)
  expect(fromRedis.code).toBe(0)
  expect(fromRedis.out).toContain('quiet: 1 → 0 executors: no record for 10 s')
  const fromFile = await run(['--replay-file', kept, '--json'])
  await place.end()
  expect(fromFile.code).toBe(0)
  const { results, notes, terms } = JSON.parse(fromFile.out)
  expect(terms.max).toBe(3)
  expect(notes).toEqual([
    'the recording has a hole, 20 s with 0 records: there arrivals are taken as even and executors as unchanged',
  ])
  expect(results[0]).toMatchObject({ way: 'recorded', scalings: 1 })
  expect(results[0].cost.executorSeconds).toBe(90)
  const fixed = results.find(({ way }: Result) => way === 'fixed')
  expect(fixed.records).toBe(600)
  expect(fixed.delayMs.p50).toBeCloseTo(70, 6)
  const table = fromRedis.out.split('\n')
  expect(table.some((line) => /recorded +│ +90\.0 s/.test(line))).toBe(true)
})

test('nothing recorded, no Redis, or a file that is none: one line', async () => {
  const place = await openPlace('unrecorded')
  await place.end()
  const unrecorded = await run(['--replay'], { REDIS_URL: `${testRedisUrl}/15` })
  expect(unrecorded.code).toBe(1)
  expect(unrecorded.err).toStartWith('simulate: nothing to replay of students: ')
  const away = await run(['--replay'], { REDIS_URL: 'redis://127.0.0.1:1' })
  expect(away.code).toBe(1)
  expect(away.err).toStartWith('simulate: Redis at 127.0.0.1:1 does not answer')
  const broken = join(dir, 'broken.jsonl')
  writeFileSync(broken, '\n{"at":1}\n')
  const unread = await run(['--replay-file', broken])
  expect(unread).toEqual({
    code: 2,
    out: '',
    err: `simulate: ${broken}, line 2: neither a measurement nor a decision\n`,
  })
})
