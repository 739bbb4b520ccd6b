import { expect, test } from 'bun:test'
import { without } from '../../verify/pipeline.ts'

test('ranges that were given up unread are left out of what was applied', () => {
  //   0    10        20    30    40   50
  //   |████|         |█████|     |████|      applied
  //     |──────────────|      |─────|        given up
  const applied = new Map([
    [
      0,
      [
        { from: 0, to: 10 },
        { from: 20, to: 30 },
        { from: 40, to: 50 },
      ],
    ],
    [1, [{ from: 0, to: 5 }]],
  ])
  const losses: [string, string, string][] = [
    ['0', '5', '25'],
    ['0', '35', '45'],
    ['1', '0', '5'],
    ['7', '0', '5'],
  ]
  expect([...without(applied, losses)]).toEqual([
    [
      0,
      [
        { from: 0, to: 5 },
        { from: 25, to: 30 },
        { from: 45, to: 50 },
      ],
    ],
  ])
  expect(without(applied, [])).toEqual(applied)
})
