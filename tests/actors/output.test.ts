/** What a command says, to readers that are slow and to such as go away. */
import { afterAll, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'millrace-output-'))
const file = join(folder, 'said')
beforeEach(() => rmSync(file, { force: true }))
afterAll(() => rmSync(folder, { recursive: true }))

/** Far more than a pipe takes that nobody reads: 64 KiB. */
const MANY = 50_000

/** The talker's lines go to `reader`, a command of the shell, which knows the talker's file as $file. */
async function saidTo(reader: string, lines: number, ...more: string[]) {
  const script = `"$@" | { ${reader}; }; echo "code \${PIPESTATUS[0]}"`
  const talker = [process.execPath, 'tests/fixtures/talker.ts', String(lines), file, ...more]
  const command = ['bash', '-c', script, 'bash', ...talker]
  const shell = Bun.spawn(command, {
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, file },
  })
  const [out, err] = await Promise.all([
    new Response(shell.stdout).text(),
    new Response(shell.stderr).text(),
  ])
  return { out, err }
}

test('a reader that begins when all is said gets all of it', async () => {
  const late = 'until [ -e "$file" ]; do sleep 0.01; done; wc -l'
  expect(await saidTo(late, MANY)).toEqual({ out: `${MANY}\ncode 1\n`, err: '' })
}, 30_000)

test('a reader that goes away ends nothing', async () => {
  expect(await saidTo('head -n 1', MANY)).toEqual({ out: 'line 0\ncode 1\n', err: '' })
  expect(existsSync(file)).toBe(true)
}, 30_000)

test('what goes on saying things ends when nobody reads any more', async () => {
  expect(await saidTo('head -n 1', 1, 'goingOn')).toEqual({ out: 'line 0\ncode 1\n', err: '' })
  expect(existsSync(file)).toBe(true)
}, 30_000)
