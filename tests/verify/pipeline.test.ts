/**
 * `bun run verify` as a process beside a real pipeline: bridge and executors over a topic with every
 * kind of bad record.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { readConfig } from '../../actors/config.ts'
import { keysOf } from '../../actors/keys.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import type { Round } from '../../verify/audit.ts'
import { topicOffsets } from '../../verify/topic.ts'
import type { Report } from '../../verify/verify.ts'
import { watchForLeaks } from '../support/leaks.ts'
import { uniqueName } from '../../faults/names.ts'
import { until } from '../../faults/until.ts'
import { testServices } from '../support/services.ts'

const RECORDS = 20_000

let environment: Record<string, string>
let store: Store
let directory: string
let noLeaks: () => Promise<void>

beforeAll(async () => {
  environment = (await testServices()).environment
  noLeaks = await watchForLeaks()
  store = openStore(readConfig(environment), createLog('tests', 'error'))
  await untilReady(store)
  directory = mkdtempSync(join(tmpdir(), 'millrace-verify-'))
})
afterAll(async () => {
  await store.close()
  rmSync(directory, { recursive: true, force: true })
  await noLeaks()
})

function start(main: string, flags: string[]) {
  const env = { ...process.env, ...environment, LOG_LEVEL: 'warn' }
  const child = Bun.spawn(['bun', main, ...flags], { env, stdout: 'pipe', stderr: 'pipe' })
  const stdout = new Response(child.stdout).text()
  const stderr = new Response(child.stderr).text()
  return { child, stdout, stderr, code: child.exited }
}

/** The shipped job under another name, with another topic. */
function jobFile(name: string): string {
  const root = resolve(import.meta.dir, '../..')
  const file = join(directory, `${name}.ts`)
  writeFileSync(
    file,
    `import { defineJob } from '${root}/actors/job.ts'
import { students } from '${root}/jobs/students.ts'
export default defineJob({ ...students, name: '${name}', topic: '${name}' })
`,
  )
  return file
}

/** Sends them; a producer that was not answered in time may have sent some twice. */
async function produce(topic: string): Promise<number> {
  const shares = ['--malformed', '0.02', '--late', '0.02', '--out-of-order', '0.1', '--seed', '5']
  const count = ['--rate', '50000', '--count', String(RECORDS)]
  const { code } = start('actors/producer/main.ts', ['--topic', topic, ...count, ...shares])
  expect(await code).toBe(0)
  const kafka = kafkaClient({ KAFKA_BROKERS: environment.KAFKA_BROKERS!.split(',') }, 'tests')
  return (await topicOffsets(kafka, topic)).reduce((sum, { high }) => sum + high, 0)
}

test('the pipeline passes, and a spoiled pane does not', async () => {
  const name = uniqueName('verify-pipeline')
  const file = jobFile(name)
  const records = await produce(name)
  const actors = [
    start('actors/bridge/main.ts', [file, '--from', 'earliest']),
    start('actors/executor/main.ts', [file]),
    start('actors/executor/main.ts', [file]),
  ]
  try {
    const good = start('verify/main.ts', [file, '--wait', '40', '--json'])
    expect([await good.code, await good.stderr]).toEqual([0, ''])
    const report = JSON.parse(await good.stdout) as Report
    expect(report).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0, unaccounted: 0 })
    expect(report.records).toBe(records)
    expect(report.counts.rejected).toBeGreaterThan(RECORDS / 100)
    expect(report.windows.rows).toBeGreaterThan(25)

    const keys = keysOf(name)
    const pane = keys.pane(Number((await store.redis.hkeys(keys.panes)).sort().at(-1)))
    await store.redis.hdel(pane, (await store.redis.hkeys(pane))[0]!)
    const bad = start('verify/main.ts', [file])
    expect(await bad.code).toBe(1)
    expect(await bad.stdout).toContain('the row is missing')
    expect(await bad.stdout).toMatch(/lost [1-9][\d,]*, duplicated 0, wrong 0\n$/)
  } finally {
    for (const { child } of actors) child.kill('SIGTERM')
    await Promise.all(actors.map(({ code }) => code))
  }
})

test('a live audit goes along with the pipeline, through the death of an executor', async () => {
  const name = uniqueName('verify-live')
  const file = jobFile(name)
  await produce(name)
  const flags = [file, '--live', '--interval', '0.1', '--json']
  const audit = follow(flags)
  const actors = [
    start('actors/bridge/main.ts', [file, '--from', 'earliest']),
    start('actors/executor/main.ts', [file]),
  ]
  try {
    await until('records to be audited', () => audit.rounds().some(({ records }) => records > 0))
    actors[1]!.child.kill('SIGKILL')
    actors.push(start('actors/executor/main.ts', [file]))
    const twice = await produce(name)
    await until(
      'all to be audited',
      () => audit.rounds().at(-1)?.records === twice && audit.rounds().at(-1)?.behind === 0,
      { timeoutMs: 40_000 },
    )
    const late = follow([file, '--live', '--interval', '0.1', '--json', '--from-now'])
    await until('a first round', () => late.rounds().length > 0)
    const thrice = await produce(name)
    await until('the rest', () => late.rounds().at(-1)?.records === thrice - twice, {
      timeoutMs: 40_000,
    })
    expect(await late.end()).toEqual([0, ''])
    await until('all again', () => audit.rounds().at(-1)?.records === thrice)
    expect(await audit.end()).toEqual([0, ''])
    for (const round of [...audit.rounds(), ...late.rounds()]) {
      expect(round).toMatchObject({ lost: 0, duplicated: 0, wrong: 0, unaccounted: 0, named: [] })
    }
    expect(audit.last()).toMatchObject({ summary: { ok: true, records: thrice, outages: 0 } })
  } finally {
    await audit.end()
    for (const { child } of actors) child.kill('SIGTERM')
    await Promise.all(actors.map(({ code }) => code))
  }
}, 120_000)

/** A live audit whose lines are read as they come. */
function follow(flags: string[]) {
  const env = { ...process.env, ...environment, LOG_LEVEL: 'warn' }
  const child = Bun.spawn(['bun', 'verify/main.ts', ...flags], {
    env,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const lines: string[] = []
  const stderr = new Response(child.stderr).text()
  const reading = (async () => {
    let rest = ''
    for await (const bytes of child.stdout) {
      const parts = (rest + Buffer.from(bytes).toString()).split('\n')
      rest = parts.pop() ?? ''
      lines.push(...parts)
    }
  })()
  return {
    rounds: () =>
      lines
        .map((line) => JSON.parse(line) as Round | { summary: unknown })
        .filter((line): line is Round => 'records' in line),
    last: () => JSON.parse(lines.at(-1)!) as unknown,
    async end(): Promise<[number, string]> {
      child.kill('SIGINT')
      await reading
      return [await child.exited, await stderr]
    },
  }
}

test('what can not be verified is said in one line', async () => {
  const name = uniqueName('verify-nothing')
  const noTopic = start('verify/main.ts', [jobFile(name)])
  expect(await noTopic.code).toBe(1)
  expect((await noTopic.stderr).trim().split('\n')).toHaveLength(1)
  expect(await noTopic.stderr).toContain(`topic ${name}`)
  const noFlag = start('verify/main.ts', ['--wait', 'long'])
  expect(await noFlag.code).toBe(2)
  expect(await noFlag.stderr).toContain('--wait must be a number')
})
