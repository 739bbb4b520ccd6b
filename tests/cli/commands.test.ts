/** The table of commands, and what else names them: package.json's scripts, README, the files. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { commands } from '../../cli/commands.ts'
import { scripts } from '../../package.json'

const root = resolve(import.meta.dir, '../..')
const names = commands.map(({ name }) => name)

/** Scripts that are no commands of millrace: they work on the project itself. */
const ownScripts = ['millrace', 'reference', 'types', 'lint', 'format']

test('each command is a script of package.json, with the same file, and the other way round', () => {
  const files = Object.entries(scripts)
    .filter(([name]) => !ownScripts.includes(name))
    .map(([name, script]) => [name, /\bbun (\S+\.ts)$/.exec(script)?.[1]])
  expect(Object.fromEntries(files)).toEqual(
    Object.fromEntries(commands.map(({ name, main }) => [name, main])),
  )
  for (const { main } of commands) expect(existsSync(join(root, main))).toBe(true)
})

test('what README runs is a script or a command', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const run = [...readme.matchAll(/\b(?:bun run|bunx? millrace) ([a-z]+)/g)].map(
    ([, name]) => name!,
  )
  expect(run).toContain('supervisor')
  expect(run.filter((name) => !names.includes(name) && !ownScripts.includes(name))).toEqual([])
})

test('each command says what its exit codes mean', () => {
  const helps = commands.map(({ name, main }) => {
    // The flags of a large command are in a file of their own.
    const beside = ['options.ts', 'settings.ts'].map((file) => join(dirname(main), file))
    const files = [main, ...beside].map((file) => join(root, file))
    const sources = files
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, 'utf8'))
    return [name, /^Exit code: /m.test(sources.join('\n'))]
  })
  expect(helps.filter(([, says]) => !says).map(([name]) => name)).toEqual([])
})

test('each line of help fits a terminal', () => {
  for (const { about } of commands) expect(about.length).toBeLessThanOrEqual(66)
})
