import { afterEach, expect, test } from 'bun:test'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import { createHandFile } from '../../actors/executor/hand.ts'
import { until } from '../../faults/until.ts'
import { spawner } from '../../supervisor/child.ts'

const hand = resolve(import.meta.dir, '../../actors/executor/hand.ts')
const made: string[] = []
afterEach(() => made.splice(0).forEach((path) => rmSync(path, { force: true })))

const ownFiles = () =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`millrace-${process.pid}-`))

const spawn = (code: string) =>
  spawner({
    command: () => [process.execPath, '-e', code],
    output: () => {},
    clock: systemClock,
  })

test('what an executor had in hand is known after its death, and its file is gone', async () => {
  const child = spawn(`
    const { Hand } = await import('${hand}')
    new Hand(process.env.MILLRACE_HAND).only({ id: '5-1', partition: 2 }, 17)
    setInterval(() => {}, 1_000)
  `)('executor')
  const noted = { entry: '5-1', partition: 2, offsets: [17] }
  await until('the note', () => child.inHand!() !== null)
  expect(child.inHand!()).toEqual(noted)
  if (process.platform === 'linux') expect(child.residentBytes!()).toBeGreaterThan(2 ** 20)
  child.signal('SIGKILL')
  expect((await child.exited).signal).toBe('SIGKILL')
  expect(child.inHand!()).toEqual(noted)
  expect(child.residentBytes!()).toBeNull()
  expect(ownFiles()).toEqual([])
})

test('a child does not say that its supervisor lives', async () => {
  const lines: string[] = []
  const child = spawner({
    command: () => [process.execPath, '-e', 'console.error(`${process.env.MILLRACE_ALIVE_FILE}`)'],
    output: (line) => void lines.push(line),
    clock: systemClock,
    environment: { ...process.env, MILLRACE_ALIVE_FILE: '/tmp/alive' },
  })('web')
  await child.exited
  expect(lines).toEqual(['undefined'])
})

test('files that killed supervisors left are swept; others are let alone', async () => {
  const gone = Bun.spawn(['true'])
  await gone.exited
  const stale = join(tmpdir(), `millrace-${gone.pid}-executor-abc.hand`)
  const living = join(tmpdir(), `millrace-${process.ppid}-executor-abc.hand`)
  for (const path of [stale, living]) {
    made.push(path)
    createHandFile(path)
  }
  spawn('')
  expect([existsSync(stale), existsSync(living)]).toEqual([false, true])
})

test('a bridge does without the last compiler, unless the environment says otherwise', async () => {
  const compilerOf = async (kind: 'bridge' | 'executor', environment: Record<string, string>) => {
    const lines: string[] = []
    const child = spawner({
      command: () => [
        process.execPath,
        '-e',
        'console.error(`ftl ${process.env.BUN_JSC_useFTLJIT}`)',
      ],
      output: (line) => void lines.push(line),
      clock: systemClock,
      environment,
    })(kind)
    await child.exited
    return lines.join()
  }
  expect(await compilerOf('bridge', {})).toBe('ftl 0')
  expect(await compilerOf('bridge', { BUN_JSC_useFTLJIT: '1' })).toBe('ftl 1')
  expect(await compilerOf('executor', {})).toBe('ftl undefined')
})
