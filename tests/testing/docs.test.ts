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
  const places = misspelt.map(([name, right, wrong]) => change(name, right, wrong))
  const { stdout } = compiled()
  for (const [name, right, wrong] of misspelt.toReversed()) change(name, wrong, right)
  const errors = Array.from(stdout.matchAll(/([^/\s]+\.ts)\((\d+),\d+\): error/g))
  expect(new Set(errors.map(([, name, line]) => `${name}:${line}`))).toEqual(new Set(places))
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

/** Where: `file:line`. */
function change(name: string, from: string, to: string): string {
  const file = join(folder, name)
  const parts = readFileSync(file, 'utf8').split(from)
  expect(parts).toHaveLength(2)
  writeFileSync(file, parts.join(to))
  return `${name}:${parts[0]!.split('\n').length}`
}

/** By a package's program, run by this very Bun. */
function compiled() {
  const tsc = join(root, 'node_modules/.bin/tsc')
  const args = [process.execPath, 'run', tsc, '--noEmit', '-p', folder]
  const { stdout, exitCode } = Bun.spawnSync(args, { cwd: root })
  return { exitCode, stdout: stdout.toString() }
}
