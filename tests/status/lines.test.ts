import { describe, expect, test } from 'bun:test'
import { columnsOf, fit, inColour, lineText } from '../../status/lines.ts'

describe('fit', () => {
  test('cuts to cells, wide characters counted as two', () => {
    expect(fit('backlog', 7)).toBe('backlog')
    expect(fit('backlog', 6)).toBe('backl…')
    expect(fit('日本語', 6)).toBe('日本語')
    // Two of three would leave no room for the ellipsis.
    expect(fit('日本語', 4)).toBe('日…')
    expect(fit('👩‍👩‍👧‍👦 family', 4)).toBe('👩‍👩‍👧‍👦 …')
    expect(fit('anything', 0)).toBe('')
  })
})

describe('lines', () => {
  const line = ['job ', { text: 'running', colour: 'green' }, ', well'] as const

  test('are cut as a whole, colours aside', () => {
    expect(lineText(line, { columns: 80, colour: false })).toBe('job running, well')
    expect(lineText(line, { columns: 80, colour: true })).toBe('job \x1b[32mrunning\x1b[0m, well')
    expect(lineText(line, { columns: 8, colour: true })).toBe('job \x1b[32mrun…\x1b[0m')
    expect(lineText(line, { columns: 4, colour: true })).toBe('job ')
  })

  test('write nothing to a terminal that is not theirs', () => {
    const nasty = ['\x1b]0;title\x07', { text: 'a\nb\u202e', colour: 'red' }] as const
    expect(lineText(nasty, { columns: 80, colour: false })).toBe(
      String.raw`\u{1b}]0;title\u{7}a\u{a}b\u{202e}`,
    )
  })
})

test('columns are as wide as their widest cell, numbers to the right', () => {
  const rows = [
    ['who', 'n', 'where'],
    ['日本', '1,000', 'a\x1b[2J'],
    ['e', '7', 'b'],
  ]
  expect(columnsOf(rows, [1])).toEqual([
    'who       n  where',
    '日本  1,000  a\\u{1b}[2J',
    'e         7  b',
  ])
})

test('colour is for terminals, unless NO_COLOR or a dumb one', () => {
  expect(inColour({ isTTY: true }, {})).toBe(true)
  expect(inColour({}, {})).toBe(false)
  expect(inColour({ isTTY: true }, { NO_COLOR: '1' })).toBe(false)
  expect(inColour({ isTTY: true }, { NO_COLOR: '' })).toBe(true)
  expect(inColour({ isTTY: true }, { TERM: 'dumb' })).toBe(false)
})
