/**
 * `bun run new` as a person runs it, in a project of their own beside Millrace: what it writes compiles,
 * passes its own test, and runs over the topic that it was made from.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort } from '../../services/ports.ts'
import { uniqueName } from '../../faults/names.ts'
import { withPipeline } from '../../faults/with-pipeline.ts'
import { testServices } from '../support/services.ts'

const root = resolve(import.meta.dir, '../..')
const services = await testServices()

let project: string
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'millrace-new-'))
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(root, join(project, 'node_modules', 'millrace'))
  for (const name of ['valibot', 'bun-types']) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

async function run(command: string[], extra: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    cwd: project,
    env: { ...process.env, ...services.environment, ...extra },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { out, err, code }
}

const made = (args: string[], extra?: Record<string, string>) =>
  run([process.execPath, join(root, 'scaffold/main.ts'), ...args], extra)

const textOf = (file: string) => readFileSync(join(project, file), 'utf8')

/** Types as in this project, which asks for more than most. */
async function expectTypes(name: string): Promise<void> {
  const { compilerOptions } = (await import('../../tsconfig.json')).default
  const ours = 'node_modules/millrace/actors/*.d.ts'
  const include = [`jobs/${name}.ts`, `tests/jobs/${name}.test.ts`, ours]
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }))
  const tsc = [process.execPath, join(root, 'node_modules/.bin/tsc'), '--noEmit', '-p', project]
  expect(await run(tsc)).toEqual({ out: '', err: '', code: 0 })
}

async function expectOwnTest(name: string): Promise<void> {
  const { err, code } = await run([process.execPath, 'test', `tests/jobs/${name}.test.ts`])
  expect({ err, code }).toEqual({ err: expect.stringContaining(' 0 fail'), code: 0 })
}

describe('bun run new', () => {
  test('--json tells what it made of the records', async () => {
    const { out, code } = await made(['told', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      files: { job: 'jobs/told.ts', test: 'tests/jobs/told.test.ts' },
      time: { field: 'at', form: 'ms' },
      groups: [{ field: 'place', values: 2 }],
      leftOut: { noObjects: 0, odd: [] },
    })
  })

  test('without records: an example that compiles and passes its test', async () => {
    const { out, err, code } = await made(['plain', '--topic', 'some-topic'])
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toStartWith('wrote jobs/plain.ts and tests/jobs/plain.test.ts\n')
    expect(textOf('jobs/plain.ts')).toContain("topic: 'some-topic',")
    await expectTypes('plain')
    await expectOwnTest('plain')
  })

  test('never overwrites, neither a job nor a test', async () => {
    await made(['twice'])
    const before = textOf('jobs/twice.ts')
    const again = await made(['twice', '--topic', 'other'])
    expect(again).toEqual({
      out: '',
      err: 'new: jobs/twice.ts exists already, and is not overwritten\n',
      code: 2,
    })
    rmSync(join(project, 'jobs/twice.ts'))
    const withTest = await made(['twice'])
    expect(withTest.err).toBe(
      'new: tests/jobs/twice.test.ts exists already, and is not overwritten\n',
    )
    expect(existsSync(join(project, 'jobs/twice.ts'))).toBe(false)
    expect(before).toContain("name: 'twice'")
  })

  test('from a file whose names and texts are as nasty as JSON allows', async () => {
    const lines = [0, 1, 2, 3].map((i) =>
      JSON.stringify({
        '*/ ${x}`': 'a\n// b',
        "who's": ['a\'b"c\\', '\u2028\u202e'][i % 2],
        'event-time': `2026-01-01 00:00:0${i}`,
        deep: { on: i % 2 === 0, n: i / 2, list: [1, 'two', null] },
        ...(i % 2 === 0 && { some: 1 }),
        mix: [1, 'one', null, true][i],
        nothing: null,
      }),
    )
    lines.push('{"__proto__": {"polluted": true}, "constructor": 1', 'not json', '[1]')
    writeFileSync(join(project, 'records.ndjson'), lines.join('\n'))
    const { out, err, code } = await made(['nasty', '--from-file', 'records.ndjson'])
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toContain('  left out  3 that are no JSON objects\n')
    expect(out).toContain('  time      event-time, ISO 8601 without a zone, taken as UTC\n')
    expect(out).toContain("  groups    who's (2 values), deep.on (2 values)\n")
    expect(out).toContain('  numbers   avg_deep_n, max_deep_n, total_some, max_some\n')
    await expectTypes('nasty')
    await expectOwnTest('nasty')
    const format = [process.execPath, join(root, 'node_modules/.bin/biome'), 'format']
    const config = `--config-path=${join(root, 'biome.json')}`
    const files = ['jobs/nasty.ts', 'jobs/plain.ts', 'tests/jobs/nasty.test.ts']
    const { out: unformatted, code: formatted } = await run([
      ...format,
      '--vcs-enabled=false',
      config,
      ...files,
    ])
    expect({ unformatted, formatted }).toEqual({ unformatted: '', formatted: 0 })
  })

  test('without a time in the records: the one that Kafka keeps', async () => {
    writeFileSync(join(project, 'timeless.ndjson'), '{"a":"x","n":1}\n{"a":"y","n":2.5}\n')
    const { out, code } = await made(['timeless', '--from-file', 'timeless.ndjson'])
    expect(code).toBe(0)
    expect(out).toContain(
      "  time      Kafka's, as no field looks like one (name one with --time)\n",
    )
    expect(textOf('jobs/timeless.ts')).toContain("  eventTime: 'kafka',\n")
    await expectTypes('timeless')
    await expectOwnTest('timeless')
  })

  test('from a topic: compiles, passes its test, and takes what the sample was like', async () => {
    const name = uniqueName('new')
    const job = join(project, `jobs/${name}.ts`)
    const names = { job: name, topic: name }
    const at = Date.parse('2026-01-01T00:00:00Z')
    const records = Array.from({ length: 300 }, (_, i) =>
      i % 100 === 50
        ? '{"broken'
        : JSON.stringify({ ts: at + i * 100, device: { room: `r${i % 3}` }, celsius: i / 4 }),
    )
    const options = { label: name, job, names, services, topic: { partitions: 3 } }
    await withPipeline(options, async (pipeline) => {
      await pipeline.topic.produce(records)
      const { out, err, code } = await made([name, '--sample', '200'])
      expect({ err, code }).toEqual({ err: '', code: 0 })
      expect(out).toContain('  time      ts, epoch milliseconds\n')
      expect(textOf(`jobs/${name}.ts`)).toMatch(/made from 19[789] records of /)
      await expectTypes(name)
      await expectOwnTest(name)
      await pipeline.begin()
      const { totals } = await pipeline.drained()
      expect(totals).toMatchObject({ counted: 297, rejected: 3, late: 0 })
      const rows = await pipeline.windows()
      expect(new Set(rows.map(({ key }) => key.device_room))).toEqual(new Set(['r0', 'r1', 'r2']))
      expect(Object.keys(rows[0]!.values)).toEqual(['records', 'avg_celsius', 'max_celsius'])
      expect(await pipeline.verify()).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0 })
    })
  })

  test('says what is wrong in one line', async () => {
    writeFileSync(join(project, 'empty.ndjson'), '\n')
    const kafka = `127.0.0.1:${await freePort()}`
    for (const [args, line, code] of [
      [[], 'say how the job is called; see --help', 2],
      [['My-Job'], 'name must be 1 to 64 lower-case letters, digits, - or _, not "My-Job"', 2],
      [['../x'], 'name must be 1 to 64 lower-case letters, digits, - or _, not "../x"', 2],
      [['x', '--topic', 'a b'], "topic must be 1 to 249 letters, digits, '.', '_' or '-'", 2],
      [['x', '--sample', '0'], '--sample must be a number from 1 to 100000, not "0"', 2],
      [['x', '--time', 'at'], '--time is for --sample and --from-file', 2],
      [['x', '--from-file', 'none'], "--from-file none can't be read", 2],
      [['x', '--from-file', 'empty.ndjson'], '--from-file empty.ndjson holds no record', 1],
      [['x', '--sample', '5', '--topic', uniqueName('none')], 'topic none', 1],
    ] as const) {
      const result = await made([...args])
      expect(result).toMatchObject({ out: '', code })
      expect(result.err).toStartWith(`new: ${line}`)
      expect(result.err.trimEnd()).not.toContain('\n')
    }
    const away = await made(['x', '--sample', '5'], { KAFKA_BROKERS: kafka })
    expect(away.err).toStartWith(`new: Kafka at ${kafka} does not answer`)
    expect(existsSync(join(project, 'jobs/x.ts'))).toBe(false)
  })
})
