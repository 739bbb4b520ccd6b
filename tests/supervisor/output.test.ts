import { expect, test } from 'bun:test'
import { join } from 'node:path'

const root = join(import.meta.dir, '..', '..')

/** What comes to stderr of lines that a child has written. */
async function told(human: boolean, lines: string[]): Promise<string> {
  const script = `
    const { childOutput } = await import('${root}/supervisor/output.ts')
    const output = childOutput(${human}, 'info')
    for (const line of ${JSON.stringify(lines)}) output(line)`
  const child = Bun.spawn([process.execPath, '-e', script], {
    env: { ...process.env, LOG_FORMAT: human ? 'text' : 'json' },
    stdout: 'inherit',
    stderr: 'pipe',
  })
  return new Response(child.stderr).text()
}

const line = (fields: object) =>
  JSON.stringify({ at: '2026-01-01T00:00:00.000Z', level: 'warn', actor: 'bridge', ...fields })

test('for people a child’s lines look like ours, and what else it says steers no terminal', async () => {
  const lines = [
    line({ event: 'waits\u001b[2J', records: 5 }),
    'a job says \x1b[31mred\x9b0m\u202e',
  ]
  const [first, second] = (await told(true, lines)).split('\n')
  expect(first).toMatch(/ WARN  bridge       waits\\u\{1b\}\[2J records=5$/)
  expect(second).toBe('a job says \\u{1b}[31mred\\u{9b}0m\\u{202e}')
})

test('for machines they are as they came', async () => {
  const lines = [line({ event: 'waits', records: 5 }), 'what a job says']
  expect(await told(false, lines)).toBe(`${lines.join('\n')}\n`)
})
