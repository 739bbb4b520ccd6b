/** The examples of docs/jobs.md: each is checked by the compiler, and runs. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { blocks, isJob, isTest, root, writeBlocks } from '../docs/blocks.ts'
import { subjects } from '../fixtures/formats.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'

let folder: string
let registry: TestRegistry

beforeAll(() => {
  folder = writeBlocks()
  registry = startRegistry(subjects)
  process.env.SCHEMA_REGISTRY_URL = registry.url
})
afterAll(async () => {
  delete process.env.SCHEMA_REGISTRY_URL
  await registry.end()
  rmSync(folder, { recursive: true })
})

test('there are some of both kinds', () => {
  expect(blocks.filter(isTest)).toHaveLength(1)
  expect(blocks.filter(isJob).length).toBeGreaterThan(3)
})

test('all compile', () => {
  expect(compiled()).toEqual({ exitCode: 0, stdout: '' })
}, 60_000)

test('a field that the schema has not does not compile, whatever the records’ format', () => {
  const misspelt = [
    ['access.ts', "['status']", "['statsu']"],
    ['payments.ts', "sum('amount'", "sum('amuont'"],
    ['payments.ts', 'payment.at,', 'payment.att,'],
    ['rides.ts', "'way']", "'wya']"],
    ['rides.ts', 'ride.at', 'ride.att'],
  ] as const
  for (const [name, right, wrong] of misspelt) change(name, right, wrong)
  const { exitCode, stdout } = compiled()
  for (const [name, right, wrong] of misspelt.toReversed()) change(name, wrong, right)
  expect(exitCode).not.toBe(0)
  const errors = stdout
    .match(/^\S+\.ts(?=\(\d+,\d+\): error)/gm)
    ?.map((path) => path.split('/').at(-1)!)
  expect(errors?.sort()).toEqual(misspelt.map(([name]) => name).sort())
}, 60_000)

test('the jobs can be run', async () => {
  for (const { name } of blocks.filter(isJob)) {
    const { default: job } = (await import(join(folder, name))) as { default: { ops: string } }
    expect(job.ops).not.toBe('')
  }
})

test('the test passes', () => {
  const child = Bun.spawnSync([process.execPath, 'test', folder], { cwd: root, stderr: 'pipe' })
  expect(child.stderr.toString()).toContain(' 1 pass')
  expect(child.exitCode).toBe(0)
}, 60_000)

function change(name: string, from: string, to: string): void {
  const file = join(folder, name)
  const parts = readFileSync(file, 'utf8').split(from)
  expect(parts).toHaveLength(2)
  writeFileSync(file, parts.join(to))
}

/** By a package's program, run by this very Bun. */
function compiled() {
  const tsc = join(root, 'node_modules/.bin/tsc')
  const args = [process.execPath, 'run', tsc, '--noEmit', '-p', folder]
  const { stdout, exitCode } = Bun.spawnSync(args, { cwd: root })
  return { exitCode, stdout: stdout.toString() }
}
