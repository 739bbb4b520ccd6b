import { describe, expect, test } from 'bun:test'
import { type Board, boardLines } from '../../status/board.ts'
import { lineText } from '../../status/lines.ts'
import { sampleAt } from '../supervisor/views.ts'
import { executorReport, lookWith, now, statusReport } from './looks.ts'

const board = (given: Partial<Board> = {}): Board => ({
  ...lookWith(),
  samples: [],
  decisions: [],
  actors: [executorReport({ kind: 'bridge', id: 'bridge-1' })],
  trouble: null,
  ...given,
})

const textOf = (shown: Board, rows = 40, columns = 80) =>
  boardLines(shown, { rows, columns }).map((line) => lineText(line, { columns, colour: false }))

const decision = statusReport().lastDecision!
const decisions = Array.from({ length: 20 }, (_, i) => ({ ...decision, id: `${i}-0` }))
const executors = Array.from({ length: 30 }, (_, i) => executorReport({ id: `executor-${i}` }))

describe('the board', () => {
  test('stages in data’s way', () => {
    const lines = textOf(board())
    expect(lines[0]).toStartWith('rooms from readings: running')
    expect(lines[0]).toEndWith('q ends')
    expect(lines.slice(3, 8)).toEqual([
      'Kafka      unknown behind',
      'bridge     1 running, 38.2/s',
      'stream     1,234 waiting, 3 entries in hand',
      'executors  2 (min 0, max 4, policy backlog, results within 2 s), 61.4 % saved',
      'windows    unknown, p50 4 ms, p99 17 ms, late 10, rejected 6',
    ])
  })

  test('lines over time end with what is true now and the most that was', () => {
    const samples = [0, 1, 2, 3].map((i) =>
      sampleAt(now - 3_000 + i * 1_000, { waiting: i, arrived: i * i * 10, running: 1 }),
    )
    const lines = textOf(board({ samples }))
    expect(lines[9]).toBe(`backlog    ${' '.repeat(43)}▁▃▆█ 3, most 3`)
    expect(lines[10]).toBe(`arriving   ${' '.repeat(44)}▂▅█ 50/s, most 50/s`)
    expect(lines[11]).toBe(`executors  ${' '.repeat(43)}████ 1, most 1`)
  })

  test('never has more lines than the terminal, nor wider ones', () => {
    for (const rows of [1, 5, 12, 16, 24, 50, 100]) {
      const columns = 40
      const lines = textOf(board({ executors, decisions }), rows, columns)
      expect(lines.length).toBeLessThan(Math.max(2, rows))
      for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns)
    }
  })

  test('executors that do not fit are counted, and decisions keep their place', () => {
    const lines = textOf(board({ executors, decisions }), 24)
    expect(lines).toHaveLength(23)
    expect(lines).toContain('… and 27 more')
    expect(lines.filter((line) => line.includes('38/s arriving'))).toHaveLength(3)
  })

  test('says that Redis is away, over what was seen last', () => {
    const lines = textOf(board({ trouble: 'Redis at here does not answer' }))
    expect(lines[1]).toBe('Redis at here does not answer')
    expect(lines[3]).toStartWith('Kafka')
  })

  test('what the world wrote is escaped', () => {
    const sentence = 'because \x1b[2J'
    const lines = textOf(board({ decisions: [{ ...decision, sentence }] }))
    expect(lines.join('\n')).not.toContain('\x1b')
    expect(lines.at(-1)).toContain(String.raw`because \u{1b}[2J`)
  })
})
