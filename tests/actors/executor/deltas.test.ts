import { describe, expect, test } from 'bun:test'
import { type Delta, paneArguments } from '../../../actors/executor/deltas.ts'

const delta = (key: string, slots: number[], sketches: string[] = []): Delta => ({
  key,
  cells: Float64Array.from(slots),
  sketches: sketches.map((text) => ({ encode: () => Buffer.from(text) })),
})

/** What stands behind lengths. */
function strings(bytes: Buffer): string[] {
  const found: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    found.push(bytes.toString('latin1', at + 4, end))
    at = end
  }
  return found
}

describe('a pane for the commit function', () => {
  test('is its start, the number of its groups, their keys and their slots', () => {
    const groups = [delta('["é"]', [1, -2]), delta('', [0.5, Infinity])]
    const [start, count, keys, states] = paneArguments(5_000, groups)
    expect([start, count]).toEqual([5_000, 2])
    const names = strings(keys as Buffer).map((key) => Buffer.from(key, 'latin1').toString())
    expect(names).toEqual(['["é"]', ''])
    const slots = Buffer.from(states as Buffer)
    expect([0, 8, 16, 24].map((at) => slots.readDoubleLE(at))).toEqual([1, -2, 0.5, Infinity])
    expect(slots).toHaveLength(32)
  })

  test('has each state behind its length where there are sketches', () => {
    const groups = [delta('a', [], ['R', 'Fxy']), delta('b', [], ['R12', 'F'])]
    const states = paneArguments(0, groups)[3] as Buffer
    const part = (text: string) => `${String.fromCharCode(text.length)}\0\0\0${text}`
    expect(strings(states)).toEqual([part('R') + part('Fxy'), part('R12') + part('F')])
  })
})
