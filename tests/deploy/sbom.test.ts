/** The bill of materials, against what a production install really brings. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { billOf } from '../../deploy/bill.ts'
import { replay, root } from './image.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-sbom-'))
beforeAll(() => replay(folder), 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const read = (name: string) => readFileSync(join(root, name), 'utf8')
const componentSchema = v.object({
  group: v.optional(v.string()),
  name: v.string(),
  version: v.string(),
  scope: v.picklist(['required', 'optional']),
  purl: v.string(),
  hashes: v.array(
    v.object({ alg: v.literal('SHA-512'), content: v.pipe(v.string(), v.hexadecimal()) }),
  ),
})
const billSchema = v.object({
  components: v.array(componentSchema),
  dependencies: v.array(v.object({ ref: v.string(), dependsOn: v.array(v.string()) })),
})
const bill = v.parse(billSchema, JSON.parse(billOf(read('bun.lock'), read('package.json'))))
const nameOf = ({ group, name }: { group?: string | undefined; name: string }) =>
  group ? `${group}/${name}` : name

/** name@version of every package that is installed, nested ones too. */
function installed(modules: string): string[] {
  if (!existsSync(modules)) return []
  return readdirSync(modules).flatMap((entry) => {
    if (entry.startsWith('.')) return []
    if (entry.startsWith('@'))
      return readdirSync(join(modules, entry)).flatMap((one) => of(`${entry}/${one}`))
    return of(entry)
  })

  function of(name: string): string[] {
    const at = join(modules, name)
    const { version } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as {
      version: string
    }
    return [`${name}@${version}`, ...installed(join(at, 'node_modules'))]
  }
}

test('names everything that is installed, and nothing that is not, but what other machines need', () => {
  const there = installed(join(folder, 'node_modules'))
  const told = new Map(bill.components.map((one) => [`${nameOf(one)}@${one.version}`, one.scope]))
  expect(there.filter((one) => !told.has(one))).toEqual([])
  const missing = [...told].filter(([name, scope]) => scope === 'required' && !there.includes(name))
  expect(missing).toEqual([])
  expect(there.length).toBeGreaterThan(20)
})

test('each component has its hash, and is needed by somebody who is in the bill', () => {
  for (const { hashes } of bill.components) expect(hashes[0]!.content).toHaveLength(128)
  const needed = new Set(bill.dependencies.flatMap(({ dependsOn }) => dependsOn))
  expect([...needed].sort()).toEqual(bill.components.map(({ purl }) => purl).sort())
})

test('a package that the lockfile lacks is named', () => {
  const lock = `{
    "workspaces": { "": { "name": "x", "dependencies": { "absent": "1.0.0" } } },
    "packages": {},
  }`
  const manifest = '{ "version": "1.0.0", "license": "MIT", "description": "" }'
  expect(() => billOf(lock, manifest)).toThrow('bun.lock has no absent, which package.json needs')
})
