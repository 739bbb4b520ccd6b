import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '../../actors/log.ts'
import { until } from '../../faults/until.ts'
import { Compiled, compiledFolder, compiledKinds } from '../../supervisor/compiled.ts'
import { descendants } from '../support/leaks.ts'

const root = join(import.meta.dir, '../..')
const log = createLog('compiled', 'error')
let copy: string

// A copy, so that what is made is nobody else's.
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'millrace-compiled-'))
  for (const part of [
    'actors',
    'supervisor',
    'jobs',
    'bun.lock',
    'package.json',
    'tsconfig.json',
  ]) {
    cpSync(join(root, part), join(copy, part), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
})

afterAll(() => rmSync(copy, { recursive: true, force: true }))

const run = (script: string, ...args: string[]) =>
  Bun.spawnSync([process.execPath, script, ...args], { cwd: copy, stdout: 'pipe', stderr: 'pipe' })

describe('compiled actors', () => {
  test('sources run until they are made; then what was made says the same', async () => {
    const compiled = new Compiled(copy)
    const sources = compiledKinds.map((kind) => compiled.script(kind))
    expect(sources).toEqual(compiledKinds.map((kind) => join(copy, 'actors', kind, 'main.ts')))
    compiled.make(log)
    await until('both to be compiled', () =>
      compiledKinds.every((kind) => compiled.script(kind).endsWith('main.js')),
    )
    expect(readdirSync(compiledFolder(copy))).toHaveLength(1)
    for (const [index, kind] of compiledKinds.entries()) {
      const [source, made] = [run(sources[index]!, '--help'), run(compiled.script(kind), '--help')]
      expect(made.stdout.toString()).toBe(source.stdout.toString())
      expect(made.exitCode).toBe(0)
      const wrong = run(compiled.script(kind), 'jobs/none.ts')
      expect(wrong.exitCode).toBe(2)
      expect(wrong.stderr.toString()).toBe(`${kind}: job file jobs/none.ts does not exist\n`)
    }
  })

  test('a job that is declared wrongly is named by compiled actors too', () => {
    writeFileSync(
      join(copy, 'jobs/wrong.ts'),
      `import { defineJob } from '../actors/job.ts'\nexport default defineJob({} as never)\n`,
    )
    const [source, made] = [
      join(copy, 'actors/executor/main.ts'),
      new Compiled(copy).script('executor'),
    ]
    const said = run(source, 'jobs/wrong.ts').stderr.toString()
    expect(run(made, 'jobs/wrong.ts').stderr.toString()).toBe(said)
    expect(said).toStartWith('executor: job file jobs/wrong.ts: window must be')
  })

  test('another version of the code is made anew, and one that is being used stays', async () => {
    const before = new Compiled(copy)
    writeFileSync(join(copy, 'actors/clock.ts'), `\n// changed\n`, { flag: 'a' })
    const after = new Compiled(copy)
    expect(after.script('bridge')).toEndWith('main.ts')
    after.make(log)
    await until('the new version', () => after.script('bridge').endsWith('main.js'))
    expect(before.script('bridge')).toEndWith('main.js')
    expect(after.script('bridge')).not.toBe(before.script('bridge'))
  })

  test('nothing is still being made when it has ended', async () => {
    const compiled = new Compiled(copy)
    rmSync(compiledFolder(copy), { recursive: true, force: true })
    compiled.make(log)
    const making = () => descendants().filter(({ command }) => command.includes('compile.ts'))
    // A process has no command for a moment after it was started.
    await until('the one that makes it', () => making().length === 1)
    await compiled.end()
    expect(making()).toEqual([])
  })

  test('where it can not be made, sources run', async () => {
    const folder = compiledFolder(copy)
    rmSync(folder, { recursive: true, force: true })
    writeFileSync(folder, 'in the way')
    const compiled = new Compiled(copy)
    compiled.make(log)
    await compiled.end()
    expect(compiled.script('executor')).toEndWith('main.ts')
    rmSync(folder)
  })
})
