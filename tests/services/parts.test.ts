/**
 * The small parts: locks between processes, ports, what is told while something takes long, and the
 * lines of another program's output.
 */
import { afterAll, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlive } from '../../services/identity.ts'
import { withLock } from '../../services/lock.ts'
import { freePort, isListening } from '../../services/ports.ts'
import { createProgress } from '../../cli/progress.ts'
import { eachLine, runSteps } from '../../services/run.ts'
import { rejection } from '../support/rejection.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-parts-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('a lock lets one in at a time and goes when the work fails', async () => {
  const lock = join(dir, 'under', 'one.lock')
  const events: string[] = []
  const work = (name: string) => async () => {
    events.push(`${name} in`)
    await Promise.resolve()
    events.push(`${name} out`)
  }
  await Promise.all([withLock(lock, work('a')), withLock(lock, work('b'))])
  expect(events).toEqual(['a in', 'a out', 'b in', 'b out'])
  const failing = withLock(lock, () => Promise.reject(new Error('no')))
  expect((await rejection(failing)).message).toContain('no')
  expect(existsSync(lock)).toBe(false)
})

test('the lock of a process that has ended is taken over', async () => {
  const lock = join(dir, 'dead.lock')
  const dead = Bun.spawn(['true'])
  await dead.exited
  mkdirSync(lock)
  writeFileSync(join(lock, 'pid'), String(dead.pid))
  expect(isAlive(dead.pid)).toBe(false)
  expect(await withLock(lock, () => Promise.resolve('done'))).toBe('done')
})

test('a free port is free, below those of outgoing connections, and given once', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()))
  expect(new Set(ports).size).toBe(20)
  for (const port of ports) expect(port).toBeWithin(20_000, 32_000)
  const [port = 0] = ports
  expect(await isListening(port)).toBe(false)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  expect(await isListening(port)).toBe(true)
  server.close()
})

test('without a terminal, progress is plain lines and not many', () => {
  const { out, text } = output(false)
  const log = createProgress(out)
  log.step('fetched 1')
  log.step('fetched 2')
  log.line('done')
  expect(text()).toBe('fetched 1\ndone\n')
})

test('on a terminal, progress is one live line that the result replaces', () => {
  const { out, text } = output(true)
  const log = createProgress(out)
  log.step('fetched 1')
  log.step('fetched 2')
  log.line('done')
  log.step('fetched 3')
  log.end()
  log.end()
  expect(text()).toBe('fetched 1\r\x1b[2Kfetched 2\r\x1b[2Kdone\nfetched 3\r\x1b[2K')
})

test('lines of a stream, whatever its chunks', async () => {
  const bytes = new TextEncoder().encode('one\ntwö\n\nlast')
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
      controller.close()
    },
  })
  const lines: string[] = []
  await eachLine(stream, (line) => lines.push(line))
  expect(lines).toEqual(['one', 'twö', '', 'last'])
})

test('of a failed program the line that says error is told', async () => {
  const result = await runSteps(['sh', '-c', 'echo fine; echo "E: no space" >&2; echo; exit 3'])
  expect(result).toEqual({ code: 3, lastLine: 'E: no space' })
})

function output(isTTY: boolean) {
  const written: string[] = []
  const stream = { isTTY, columns: 80, write: (text: string) => written.push(text) > 0 }
  return { out: stream as unknown as NodeJS.WriteStream, text: () => written.join('') }
}
