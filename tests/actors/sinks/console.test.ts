import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { readSinks } from '../../../actors/sinks/accounts.ts'
import { consoleSink } from '../../../actors/sinks/console.ts'
import { until } from '../../../faults/until.ts'
import { testRedisUrl } from '../../support/redis.ts'
import { rowsIn } from './found.ts'
import { openClosed } from './place.ts'

const main = join(import.meta.dir, '../../../actors/sinks/main.ts')
const jobFile = join(import.meta.dir, '../../fixtures/jobs/sinks.ts')

const start = (job: string, more: Record<string, string> = {}) =>
  Bun.spawn([process.execPath, main, jobFile], {
    env: {
      ...process.env,
      REDIS_URL: testRedisUrl,
      LOG_LEVEL: 'error',
      TEST_SINKS: 'console',
      TEST_JOB: job,
      ...more,
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })

test('prints each row as a line of JSON, and leaves in order', async () => {
  const it = await openClosed('console')
  await it.close(2)
  const child = start(it.job.name)
  await until('both windows', async () => {
    const sinks = [consoleSink()]
    const [report] = await readSinks(it.store, it.keys, { sinks }, Date.now())
    return report!.windows === 2
  })
  child.kill('SIGTERM')
  expect(await child.exited).toBe(0)
  const lines = (await new Response(child.stdout).text()).trim().split('\n')
  expect(rowsIn(lines)).toEqual(await it.expected())
  await it.end()
})

test('a version of a job writes to none of its sinks', async () => {
  const child = start('rooms', { MILLRACE_AS: 'rooms-2' })
  expect(await child.exited).toBe(2)
  expect(await new Response(child.stderr).text()).toContain(
    'declares no sinks for rooms-2: a version writes to none',
  )
})
