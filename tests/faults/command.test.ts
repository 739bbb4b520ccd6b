/**
 * `bun run faults` as a person meets it.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { faults } from '../../faults/list.ts'
import type { Outcome } from '../../faults/fault.ts'
import { markdownTable, outcomeText, summaryText } from '../../faults/report.ts'
import { until } from '../../faults/until.ts'
import { runCommand, startCommand } from '../support/command.ts'
import { watchForLeaks } from '../support/leaks.ts'

const root = resolve(import.meta.dir, '..', '..')
const dir = mkdtempSync(join(tmpdir(), 'millrace-faults-'))
afterAll(() => rmSync(dir, { recursive: true }))

const run = (args: string[]) => runCommand(['faults/main.ts', ...args])

test('--list names every fault with what must hold, and what is not played', async () => {
  const { code, out } = await run(['--list'])
  expect(code).toBe(0)
  for (const { id, title, holds } of faults) {
    expect(out).toContain(`${id.padEnd(5)}  ${title}`)
    expect(out).toContain(holds)
  }
  expect(out).toContain('Not played on one machine:')
})

for (const [what, args, message] of [
  ['an unknown fault', ['F99'], 'no fault "F99"; see --list'],
  ['an unknown flag', ['--nonsense'], "Unknown option '--nonsense'; see --help"],
  ['a job that is not there', ['--job', 'none.ts'], 'job file none.ts does not exist'],
  ['records without a job', ['--records', 'x'], '--sample and --records belong to --job'],
] as const) {
  test(`${what} ends with code 2 and one line`, async () => {
    const { code, out, err } = await run([...args])
    expect({ code, out, err }).toEqual({ code: 2, out: '', err: `faults: ${message}\n` })
  })
}

test('each fault has a name of its own, in the order of names', () => {
  const ids = faults.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids).toEqual([...ids].sort())
  for (const id of ids) expect(id).toMatch(/^F\d\d[a-z]?$/)
})

test('docs/faults.md has the table of the faults that there are', () => {
  const text = readFileSync(join(root, 'docs', 'faults.md'), 'utf8')
  const table = /<!-- faults -->\n([^]*?)\n<!-- \/faults -->/.exec(text)?.[1]
  expect(rowsOf(table ?? '')).toEqual(rowsOf(markdownTable(faults)))
})

/** Cells without the blanks that align them. */
const rowsOf = (table: string) =>
  table
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^[|\s-]+$/.test(line))
    .map((line) => line.split(/\s*\|\s*/).join('|'))

const outcome: Outcome = {
  id: 'F02',
  title: 'kill -9',
  ok: false,
  findings: ['lost 1'],
  seconds: 12.34,
  records: 30_000,
  recoveries: [
    { what: 'taken over', ms: 400, withinMs: 2_000 },
    { what: 'taken over', ms: 2_400, withinMs: 2_000 },
  ],
  notes: ['as noted'],
  peaksMb: {},
  log: '/tmp/log.txt',
}

test('an outcome tells the slowest recovery, what was noted, found, and where the log is', () => {
  expect(outcomeText(outcome).split('\n')).toEqual([
    'F02    FAILED    12.3 s     30,000  kill -9',
    '       taken over: 2,400 ms of 2,000, the longest of 2, median 400 ms  SLOW',
    '       as noted',
    '       FOUND lost 1',
    '       log: /tmp/log.txt',
  ])
  expect(summaryText([outcome, { ...outcome, id: 'F03', ok: true, recoveries: [] }], [])).toBe(
    [
      '1 passed, 1 failed; 60,000 records recomputed',
      'recoveries beyond their target: F02',
      'failed: F02',
    ].join('\n'),
  )
})

/** Nothing in common with the shipped job; its imports by path, since it lies outside the project. */
const sensors = `
import { avg, count, defineJob, max } from '${root}/actors/job.ts'
import * as v from '${root}/node_modules/valibot'
export default defineJob({
  name: 'own-sensors',
  topic: 'own_readings',
  schema: v.object({ at: v.number(), site: v.string(), celsius: v.number() }),
  eventTime: ({ at }) => at,
  watermarkDelay: '2 s',
  window: { size: '10 s' },
  groupBy: ['site'],
  aggregates: { mean: avg('celsius'), hottest: max('celsius'), readings: count() },
})
`

const reading = (i: number) =>
  JSON.stringify({
    at: 1_750_000_000_000 + i * 20,
    site: `site ${i % 7}`,
    celsius: (i % 400) / 10,
  })

function ownJob(): string[] {
  const job = join(dir, 'sensors.ts')
  const records = join(dir, 'readings.ndjson')
  writeFileSync(job, sensors)
  writeFileSync(records, Array.from({ length: 8_000 }, (_, i) => reading(i)).join('\n'))
  return ['--job', job, '--records', records]
}

test('a job of one’s own, with records of one’s own: played, counted, verified', async () => {
  const noLeaks = await watchForLeaks()
  const { code, out, err } = await run(['F02', 'F43', ...ownJob(), '--json'])
  const outcomes = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Outcome)
  expect(outcomes.map(({ id, findings }) => ({ id, findings }))).toEqual([
    { id: 'F02', findings: [] },
  ])
  expect(outcomes[0]!.records).toBeGreaterThan(1_000)
  expect(err).toContain('F43 is skipped: it needs records of the shipped job’s form')
  expect(err).toContain('1 passed, 0 failed, 1 skipped')
  expect(code).toBe(0)
  await noLeaks()
}, 180_000)

test('Ctrl-C in the middle ends in order: code 130, and nothing runs on', async () => {
  const noLeaks = await watchForLeaks()
  const child = startCommand(['faults/main.ts', 'F46', ...ownJob()])
  const name = `MILLRACE_TEST_JOB=own-sensors`
  await until('the pipeline to run', () => processesWith(name).length >= 4, { timeoutMs: 60_000 })
  child.kill('SIGINT')
  expect(await child.exited).toBe(130)
  expect(await new Response(child.stdout).text()).toContain('interrupted; 0 passed, 0 failed')
  expect(processesWith(name)).toEqual([])
  await noLeaks()
}, 120_000)

/** On Linux; elsewhere the pipeline counts as running, and then as gone. */
function processesWith(variable: string): string[] {
  const { stdout } = Bun.spawnSync([
    'sh',
    '-c',
    `grep -lsz '^${variable}$' /proc/[0-9]*/environ || true`,
  ])
  return stdout.toString().split('\n').filter(Boolean)
}
