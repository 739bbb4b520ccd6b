/**
 * The verification proves something only while it shares no code with what it verifies: of the
 * pipeline it uses the job's declaration, and what reaches the servers and the terminal.
 */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const allowed = new Set([
  'job.ts',
  // Which code a job is: nothing of what it does.
  'code.ts',
  'load.ts',
  'keys.ts',
  // How many shards a job has.
  'shards.ts',
  'config.ts',
  'redis.ts',
  'kafka-client.ts',
  'clock.ts',
  'errors.ts',
  'flags.ts',
  'log.ts',
  'output.ts',
])
const folder = join(import.meta.dir, '../../verify')

test('nothing of folding, committing or reading windows is imported', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'))
  expect(files.length).toBeGreaterThan(10)
  const strange = files.flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/from '\.\.\/([^']+)'/g)]
      .map(([, path]) => path!)
      .filter((path) => !allowed.has(path.replace('actors/', '')))
      .map((path) => `${file}: ${path}`),
  )
  expect(strange).toEqual([])
})
