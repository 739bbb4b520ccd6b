import { expect, test } from 'bun:test'
import { keysOf } from '../../../actors/keys.ts'
import { Ways } from '../../../bench/latency/way.ts'

const keys = keysOf('students')

/** Lines of MONITOR; `at` in ms. */
function redis() {
  const ways = new Ways(keys)
  const line = (at: number, from: string, ...words: (string | number)[]) => {
    const seconds = (1_700_000_000 + at / 1_000).toFixed(6)
    ways.see(`+${seconds} [0 ${from}] ${words.map((word) => `"${word}"`).join(' ')}`)
  }
  const totals = (at: number, name: string) => line(at, 'lua', 'HSET', keys.totals, name, 1)
  return {
    ways,
    totals,
    append(at: number, partition: number, from: number, to: number) {
      line(at - 0.2, '1', 'FCALL', 'millrace_1_append', 1, keys.base, partition)
      const place = ['p', partition, 'from', from, 'to', to]
      line(at - 0.1, 'lua', 'XADD', keys.entries, '*', ...place, 'n', 1, 'd', '\\"\\x00] ')
      totals(at, 'appended')
    },
    read(at: number, executor: string, count = 1) {
      const streams = ['STREAMS', keys.entries, keys.mailbox(executor), '>', '>']
      const group = ['GROUP', 'executors', executor, 'COUNT', count, 'BLOCK', 1_000]
      line(at, '2', 'XREADGROUP', ...group, ...streams)
    },
    call(at: number, ...slices: [partition: number, entry: number, from: number, to: number][]) {
      const head = ['me', 'hln', 10, 5, '', 1, 1, 1, 'topic', 1, 0, 0, 0, 0, 1, 1, slices.length]
      const args = slices.flatMap(([partition, entry, from, to]) => {
        return ['1-0', partition, entry, entry + 10, 1, 200, from, to, '', 1, 1]
      })
      line(at, '3', 'FCALL', 'millrace_1_commit', 1, keys.base, ...head, ...args)
    },
  }
}

const since = (at: number | undefined) => Math.round((at! - 1_700_000_000_000) * 1_000) / 1_000

test('who blocks is handed the entry when the append is over', () => {
  const { ways, totals, append, read, call } = redis()
  read(1, 'a')
  append(10, 0, 0, 10)
  read(11, 'a')
  call(12, [0, 0, 0, 10])
  totals(13, 'committed')
  const way = ways.of(0, 4)!
  expect(since(way.appended)).toBe(10)
  expect(since(way.read)).toBe(10)
  expect(since(way.called)).toBe(12)
  expect(since(way.committed)).toBe(13)
})

test('who comes later is handed it then, as many as it takes', () => {
  const { ways, totals, append, read, call } = redis()
  read(1, 'a', 1)
  for (const from of [0, 10, 20]) append(10 + from, 0, from, from + 10)
  read(40, 'a', 1)
  read(50, 'a', 1)
  call(60, [0, 0, 0, 10], [0, 10, 10, 20], [0, 20, 20, 30])
  totals(61, 'committed')
  expect([0, 10, 20].map((offset) => since(ways.of(0, offset)!.read))).toEqual([10, 40, 50])
})

test('those who block are served in the order in which they came', () => {
  const { ways, totals, append, read, call } = redis()
  read(1, 'a')
  read(2, 'b')
  // Its block was over: it comes again, behind the other.
  read(3, 'a')
  append(10, 0, 0, 10)
  read(11, 'b')
  append(20, 0, 10, 20)
  append(30, 0, 20, 30)
  call(40, [0, 0, 0, 10], [0, 10, 10, 20], [0, 20, 20, 30])
  totals(41, 'committed')
  expect([0, 10, 20].map((offset) => since(ways.of(0, offset)!.read))).toEqual([10, 20, 30])
})

test('what was handed out to one who blocked unseen is not told, and the next is', () => {
  const { ways, totals, append, read, call } = redis()
  append(10, 0, 0, 10)
  read(11, 'a')
  call(12, [0, 0, 0, 10])
  totals(13, 'committed')
  append(20, 0, 10, 20)
  call(22, [0, 10, 10, 20])
  totals(23, 'committed')
  expect(ways.of(0, 0)!.read).toBeNaN()
  expect(since(ways.of(0, 0)!.committed)).toBe(13)
  expect(since(ways.of(0, 10)!.read)).toBe(20)
})

test('a commit that is refused counts nothing, and the one that took it does', () => {
  const { ways, totals, append, read, call } = redis()
  read(1, 'a')
  append(10, 2, 0, 10)
  call(12, [2, 0, 0, 10])
  expect(ways.of(2, 0)).toBeNull()
  call(15, [2, 0, 0, 10])
  totals(16, 'committed')
  expect(since(ways.of(2, 0)!.called)).toBe(15)
  expect(ways.of(1, 0)).toBeNull()
})

test("an entry's parts have commits of their own", () => {
  const { ways, totals, append, read, call } = redis()
  read(1, 'a')
  append(10, 0, 0, 10)
  call(12, [0, 0, 0, 6])
  totals(13, 'committed')
  call(20, [0, 0, 6, 10])
  totals(21, 'committed')
  expect(since(ways.of(0, 5)!.committed)).toBe(13)
  expect(since(ways.of(0, 6)!.committed)).toBe(21)
})
