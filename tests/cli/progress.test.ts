import { expect, test } from 'bun:test'
import { watchedProgress } from '../../cli/progress.ts'
import { showWaiting } from '../../verify/print.ts'

/** A stream that keeps what is written to it. */
function stream(isTTY: boolean) {
  const written: string[] = []
  const out = { isTTY, columns: 40, write: (text: string) => written.push(text) }
  return { written, out: out as unknown as NodeJS.WriteStream }
}

test('a step is a live line for somebody who watches, and leaves nothing behind', () => {
  const { written, out } = stream(true)
  const log = watchedProgress(out)
  log.step('one')
  log.step('x'.repeat(100))
  log.end()
  expect(written).toEqual(['one', `\r\x1b[2K${'x'.repeat(39)}`, '\r\x1b[2K'])
})

test('nobody watches what is no terminal', () => {
  const { written, out } = stream(false)
  const log = watchedProgress(out)
  log.step('one')
  log.end()
  const waiting = showWaiting(out)
  waiting.show(5)
  waiting.end()
  expect(written).toEqual([])
})

test('verify --wait says how much it waits for', () => {
  const { written, out } = stream(true)
  const waiting = showWaiting(out)
  waiting.show(1_234)
  waiting.end()
  expect(written).toEqual(['\r\x1b[2Kwaiting for 1,234 records to be processed', '\r\x1b[2K'])
})
