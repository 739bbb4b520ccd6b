/** docs/tutorial.md, followed to the letter in a copy of the project, on the tests' own servers. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { keysOf } from '../../actors/keys.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { readConfig } from '../../actors/config.ts'
import { createLog } from '../../actors/log.ts'
import { openStore } from '../../actors/redis.ts'
import { keysLike } from '../../actors/scan.ts'
import { until } from '../../faults/until.ts'
import { freePort } from '../../services/ports.ts'
import { testServices } from '../support/services.ts'
import { missing, type Step, stepsOf } from './tutorial.ts'

const root = resolve(import.meta.dir, '../..')
const steps = stepsOf(readFileSync(join(root, 'docs/tutorial.md'), 'utf8'))
const minuteMs = 60_000

let copy: string
let environment: Record<string, string>
/** What a person has left running in the first terminal. */
let terminal: Running | null = null

interface Running {
  child: Bun.Subprocess
  output: () => string
}

beforeAll(async () => {
  // Within the tree, so that it is on the same disk, and ignored.
  mkdirSync(join(root, '.millrace'), { recursive: true })
  copy = mkdtempSync(join(root, '.millrace/tutorial-'))
  const others = new Set(['node_modules', '.millrace', '.git', 'docs'])
  for (const name of readdirSync(root)) {
    if (!others.has(name)) cpSync(join(root, name), join(copy, name), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  // This very Bun, whatever else is called so.
  mkdirSync(join(copy, '.millrace/bin'), { recursive: true })
  symlinkSync(process.execPath, join(copy, '.millrace/bin/bun'))
  const services = await testServices()
  environment = {
    PATH: `${join(copy, '.millrace/bin')}:${process.env.PATH ?? ''}`,
    HOME: process.env.HOME ?? '',
    PORT: String(await freePort()),
    ...services.environment,
  }
}, minuteMs)

afterAll(async () => {
  try {
    await endTerminal()
    await forget()
  } finally {
    rmSync(copy, { recursive: true })
  }
}, minuteMs)

test('the tutorial has all kinds of steps', () => {
  const kinds = steps.map((step) => (step.do === 'run' && step.stays ? 'stays' : step.do))
  expect([...new Set(kinds)].sort()).toEqual(['change', 'run', 'stays', 'write'])
})

test('what is printed is held against the page, line by line', () => {
  const printed = 'at 12:00:01\n3  lost,  0 wrong, for some reason\n2 pass\n'
  expect(missing(['at 09:30:00', '1 lost, 0 wrong…', ' 7 pass'], printed)).toBeNull()
  expect(missing(['0 lost'], printed)).toBe('0 lost')
  expect(missing(['2 pass', 'at 12:00:01'], printed)).toBe('at 12:00:01')
  expect(missing(['3 (lost)'], printed)).toBe('3 (lost)')
})

for (const [i, step] of steps.entries()) {
  test(`${i + 1}. ${titleOf(step)}`, () => follow(step), 3 * minuteMs)
}

test('in the end it has scaled', async () => {
  const why = start('bun run why jobs/lifts.ts')
  await why.child.exited
  expect(why.output()).toMatch(/→ [2-4] +\[/)
})

function titleOf(step: Step): string {
  return step.do === 'run' ? `$ ${step.command}` : `${step.do} ${step.file}`
}

async function follow(step: Step): Promise<void> {
  switch (step.do) {
    case 'write': {
      const file = join(copy, step.file)
      mkdirSync(dirname(file), { recursive: true })
      return writeFileSync(file, step.text)
    }
    case 'change': {
      const file = join(copy, step.file)
      const parts = readFileSync(file, 'utf8').split(step.from)
      expect(parts).toHaveLength(2)
      return writeFileSync(file, parts.join(step.to))
    }
    case 'run':
      return await (step.stays ? stay(step.command, step.expected) : run(step))
    default:
      return step satisfies never
  }
}

/**
 * Runs it to its end. What the pipeline has yet to do is waited for, by asking again; a command that
 * changes something is followed by ones that ask.
 */
async function run({ command, expected }: { command: string; expected: string[] }): Promise<void> {
  const asks = /^bun run (status|why|rejects|verify)\b/.test(command)
  const once = async () => {
    const running = start(command)
    const code = await running.child.exited
    if ((code === 0) === expected.some((line) => line.includes(': error '))) {
      throw new Error(`${command} ends with ${code}:\n${running.output()}`)
    }
    const gone = missing(expected, running.output())
    if (gone === null) return true
    throw new Error(`${command} does not print ${JSON.stringify(gone)}:\n${running.output()}`)
  }
  if (!asks) await once()
  else await until(command, once, { timeoutMs: minuteMs, everyMs: 500 })
}

/** Starts it where the one before it was, and waits until it has printed what is expected. */
async function stay(command: string, expected: string[]): Promise<void> {
  await endTerminal()
  const running = start(command)
  terminal = running
  const printed = () => missing(expected, running.output()) === null
  await until(`${command} to print ${expected.join(' | ')}`, printed, { timeoutMs: minuteMs })
}

function start(command: string): Running {
  const file = join(copy, '.millrace', `${crypto.randomUUID()}.txt`)
  const output = Bun.file(file)
  writeFileSync(file, '')
  const child = Bun.spawn(['/bin/sh', '-c', `exec ${command} >>${output.name} 2>&1`], {
    cwd: copy,
    env: environment,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  })
  return { child, output: () => readFileSync(file, 'utf8') }
}

/** As Ctrl-C does; its children end with it. */
async function endTerminal(): Promise<void> {
  if (!terminal) return
  const { child, output } = terminal
  terminal = null
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), minuteMs / 2)
  await child.exited
  clearTimeout(timer)
  // `bun run` tells of the signal or passes its program's code on.
  expect([0, 143, null], output()).toContain(child.exitCode)
}

async function forget(): Promise<void> {
  const config = readConfig(environment)
  const admin = kafkaClient(config, 'millrace-tests').admin()
  await admin.connect()
  await admin.deleteTopics({ topics: ['rides'] }).catch(() => undefined)
  await admin.disconnect()
  const store = openStore(config, createLog('tests', 'error'))
  await until('Redis to answer', () => store.redis.ping())
  const match = `${keysOf('lifts').base}:*`
  for await (const keys of keysLike(store.redis, match)) await store.redis.unlink(...keys)
  await store.close()
}
