import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHandFile, Hand, handText, readHand } from '../../../actors/executor/hand.ts'
import type { Entry } from '../../../actors/executor/inbox.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-hand-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const entry = (id: string, partition: number) => ({ id, partition }) as Entry

test('what is noted can be read by others, also past 2⁵³ − 1 of nothing', () => {
  const path = join(dir, 'noted')
  createHandFile(path)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readHand(path)).toBeNull()
  const hand = new Hand(path)
  const [first, second] = [entry('1700000000000-12', 3), entry('5-0', 0)]
  hand.only(first, 2 ** 53 - 1)
  expect(readHand(path)).toEqual({
    entry: '1700000000000-12',
    partition: 3,
    offsets: [2 ** 53 - 1],
  })
  hand.add(first, 7)
  expect(handText(readHand(path)!)).toBe(`1700000000000-12|${2 ** 53 - 1},7`)
  hand.only(first, 8)
  expect(readHand(path)?.offsets).toEqual([8])
  hand.add(second, 1)
  expect(readHand(path)).toEqual({ entry: '5-0', partition: 0, offsets: [1] })
  hand.clear()
  expect(readHand(path)).toBeNull()
  expect(handText(null)).toBe('')
})

test('more records than fit are not noted, and nothing breaks', () => {
  const path = join(dir, 'many')
  createHandFile(path)
  const hand = new Hand(path)
  for (let offset = 0; offset < 2_000; offset++) hand.add(entry('1-0', 0), offset)
  hand.only(entry('1-0', 0), 5)
  expect(readHand(path)?.offsets).toEqual([5])
})

test('a file that is gone or is another one says nothing', () => {
  expect(readHand(join(dir, 'gone'))).toBeUndefined()
  writeFileSync(join(dir, 'short'), 'x')
  expect(readHand(join(dir, 'short'))).toBeUndefined()
  expect(() => new Hand(join(dir, 'gone'))).toThrow(/gone can't be mapped/)
  createHandFile(join(dir, 'new'))
  expect(() => createHandFile(join(dir, 'new'))).toThrow(/EEXIST/)
})
