/** The examples of docs/jobs.md: each is checked by the compiler, and runs. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dir, '../..')
const text = readFileSync(join(root, 'docs/jobs.md'), 'utf8')
const examples = Array.from(text.matchAll(/^```ts\n([^]*?)^```$/gm), ([, source]) => source!)
let folder: string

beforeAll(() => {
  // Within the tree, where `millrace` and valibot are found.
  mkdirSync(join(root, '.millrace'), { recursive: true })
  folder = mkdtempSync(join(root, '.millrace/docs-'))
  examples.forEach((source, i) => writeFileSync(join(folder, nameOf(source, i)), source))
  const include = ['*.ts', join(root, 'actors/*.d.ts')]
  const config = { extends: join(root, 'tsconfig.json'), include }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
})
afterAll(() => rmSync(folder, { recursive: true }))

const isTest = (source: string) => source.includes("from 'bun:test'")
const nameOf = (source: string, i: number) => (isTest(source) ? `${i}.test.ts` : `${i}.ts`)

test('there are some of both kinds', () => {
  expect(examples.filter(isTest)).toHaveLength(1)
  expect(examples.length).toBeGreaterThan(3)
})

test('all compile', () => {
  const { stdout, exitCode } = run('tsc', '--noEmit', '-p', folder)
  expect([exitCode, stdout]).toEqual([0, ''])
}, 60_000)

test('the jobs can be run', async () => {
  for (const [i, source] of examples.entries()) {
    if (isTest(source)) continue
    const { default: job } = (await import(join(folder, nameOf(source, i)))) as {
      default: { ops: string }
    }
    expect(job.ops).not.toBe('')
  }
})

test('the test passes', () => {
  const child = Bun.spawnSync([process.execPath, 'test', folder], { cwd: root, stderr: 'pipe' })
  expect(child.stderr.toString()).toContain(' 1 pass')
  expect(child.exitCode).toBe(0)
}, 60_000)

/** A package's program, by this very Bun. */
function run(program: string, ...args: string[]) {
  const path = join(root, 'node_modules/.bin', program)
  const { stdout, exitCode } = Bun.spawnSync([process.execPath, 'run', path, ...args], {
    cwd: root,
  })
  return { stdout: stdout.toString(), exitCode }
}
