import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { codeOf } from '../../actors/code.ts'
import { UsageError } from '../../actors/errors.ts'
import { loadJob, SHIPPED_JOB } from '../../actors/load.ts'
import { rejection } from '../support/rejection.ts'

const root = resolve(import.meta.dir, '../..')
const jobModule = join(root, 'actors/job.ts')
const valibot = Bun.resolveSync('valibot', root)

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-load-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const head = `
import { count, defineJob, sum } from '${jobModule}'
import * as v from '${valibot}'
`
const job = (change: string) => `${head}
export default defineJob({
  name: 'job',
  topic: 'records',
  schema: v.looseObject({ at: v.number() }),
  eventTime: (record) => record.at,
  window: { size: '10 s', slide: '5 s' },
  groupBy: [],
  aggregates: { n: count() },
  ${change}
})
`

function file(name: string, text: string): string {
  const path = join(dir, name)
  writeFileSync(path, text)
  return path
}

/** Files that can't be run, and what is said of them behind their path. */
const bad: Record<string, [text: string, said: string | RegExp]> = {
  'slide.ts': [
    job(`window: { size: '10 s', slide: '3 s' }`),
    ': window.slide (3000 ms) must divide window.size (10000 ms)',
  ],
  'field.ts': [job('colour: 1'), /^: unknown field "colour"; a job has name, /],
  'schema.ts': [job('schema: undefined'), ': schema must be a valibot schema'],
  'decimals.ts': [
    job(`aggregates: { s: sum('at', { decimals: 12 }) }`),
    " can't be loaded: decimals must be a whole number from 0 to 9",
  ],
  'syntax.ts': [
    `${head}\nexport default defineJob({ name: 'x' topic: 'y' })\n`,
    /^ can't be loaded: Expected "}" but found "topic" \(line 5, column \d+\)$/,
  ],
  'import.ts': [
    `import './nowhere.ts'`,
    /^ can't be loaded: Cannot find module '.\/nowhere.ts' imported from /,
  ],
  'none.ts': [`${head}\nexport const job = 1\n`, ' must have: export default defineJob({ … })'],
  'plain.ts': ['export default {}', ' must have: export default defineJob({ … })'],
  'null.ts': ['export default null', ' must have: export default defineJob({ … })'],
  'throws.ts': [`throw new Error('no\\nmood')`, " can't be loaded: no mood"],
  'throws-nothing.ts': ['throw undefined', " can't be loaded: undefined"],
  'throws-null.ts': ['throw null', " can't be loaded: null"],
}

describe('a job file', () => {
  test('that is good is the job it exports', async () => {
    const loaded = await loadJob(file('good.ts', job('')))
    expect(loaded).toMatchObject({ name: 'job', topic: 'records', ops: 'n' })
  })

  test('is for a supervisor’s child the one that its supervisor loaded, but for comments', async () => {
    const path = file('changed.ts', job('filter: ({ at }) => at > 1'))
    const { hash, files } = (await codeOf(path))!
    const environment = { MILLRACE_CODE: hash, MILLRACE_CODE_FILES: files }
    expect((await loadJob(path, environment)).name).toBe('job')
    file('changed.ts', job('// Why so.\n  filter: ({ at }) => at > 1'))
    expect((await loadJob(path, environment)).name).toBe('job')
    file('changed.ts', job('filter: ({ at }) => at > 2'))
    const error = await rejection(loadJob(path, environment))
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toBe(
      `job file ${path} has changed since its supervisor began: restart the supervisor to run it as it is now, or put it back`,
    )
    expect((await loadJob(path, {})).name).toBe('job')
    // A job may be made of another file.
    expect((await loadJob(file('other.ts', job('')), environment)).name).toBe('job')
  })

  test('that ships can be loaded', async () => {
    expect((await loadJob(join(root, SHIPPED_JOB))).name).toBe('students')
  })

  test('that is not there is named', async () => {
    const error = await rejection(loadJob('jobs/nowhere.ts'))
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toBe('job file jobs/nowhere.ts does not exist')
  })

  test.each(Object.entries(bad))('%s is refused in one line', async (name, [text, said]) => {
    const path = file(name, text)
    const error = await rejection(loadJob(path))
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toStartWith(`job file ${path}`)
    const rest = error.message.slice(`job file ${path}`.length)
    if (typeof said === 'string') expect(rest).toBe(said)
    else expect(rest).toMatch(said)
    expect(error.message).not.toContain('\n')
  })
})

describe('the commands', () => {
  /** Of each command one that fails before it would need Kafka or Redis. */
  const run = (command: string, args: string[], env: Record<string, string> = {}) =>
    Bun.spawnSync([process.execPath, join(root, command), ...args], {
      cwd: root,
      env: { PATH: process.env.PATH ?? '', ...env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: 20_000,
    })

  test('end with 2 and one line on stderr for a bad file', () => {
    const path = file('cli.ts', bad['slide.ts']![0])
    for (const [name, command] of [
      ['executor', 'actors/executor/main.ts'],
      ['bridge', 'actors/bridge/main.ts'],
    ] as const) {
      const { exitCode, stderr, stdout } = run(command, [path])
      expect(stderr.toString()).toBe(
        `${name}: job file ${path}: window.slide (3000 ms) must divide window.size (10000 ms)\n`,
      )
      expect(stdout.toString()).toBe('')
      expect(exitCode).toBe(2)
    }
  })

  test.each([
    [['--speed=1'], {}, /^executor: Unknown option '--speed'; see --help\n$/],
    [['a', 'b'], {}, /^executor: unexpected argument "b"; see --help\n$/],
    [[], { REDIS_URL: 'redis://:canary@host:99999' }, /^executor: REDIS_URL must be [^\n]*\n$/],
    [['nowhere.ts'], {}, /^executor: job file nowhere.ts does not exist\n$/],
  ])('say what is wrong with %p %p', (args, env, said) => {
    const { exitCode, stderr } = run('actors/executor/main.ts', args, env)
    expect(stderr.toString()).toMatch(said)
    expect(stderr.toString()).not.toContain('canary')
    expect(exitCode).toBe(2)
  })

  test('print their help and end with 0', () => {
    const { exitCode, stdout } = run('actors/executor/main.ts', ['--help'])
    expect(stdout.toString()).toStartWith('Usage: bun run executor')
    expect(exitCode).toBe(0)
  })
})
