import { describe, expect, test } from 'bun:test'
import { Buffers } from '../../actors/buffers.ts'

describe('buffers that are used again', () => {
  test('are overwritten only after they were given back', () => {
    const buffers = new Buffers()
    const first = buffers.take(100).fill(1)
    const second = buffers.take(100).fill(2)
    expect(first.every((byte) => byte === 1)).toBe(true)
    buffers.giveBack(first)
    const third = buffers.take(100)
    expect(third.buffer).toBe(first.buffer)
    third.fill(3)
    expect(second.every((byte) => byte === 2)).toBe(true)
  })

  test('are given back by any part of them, and once only', () => {
    const buffers = new Buffers()
    const taken = buffers.take(100)
    buffers.giveBack(taken.subarray(10, 20))
    buffers.giveBack(taken)
    const [one, other] = [buffers.take(100), buffers.take(100)]
    expect(one.buffer).toBe(taken.buffer)
    expect(other.buffer).not.toBe(taken.buffer)
  })

  test('are none of somebody else', () => {
    const buffers = new Buffers()
    const foreign = Buffer.allocUnsafeSlow(100)
    buffers.giveBack(foreign)
    expect(buffers.take(100).buffer).not.toBe(foreign.buffer)
  })

  test('hold what is asked for: a smaller one is not taken, of a larger one the beginning', () => {
    const buffers = new Buffers()
    const [small, large] = [buffers.take(10), buffers.take(1_000)]
    buffers.giveBack(large)
    buffers.giveBack(small)
    const taken = buffers.take(500)
    expect(taken.buffer).toBe(large.buffer)
    expect(taken).toHaveLength(500)
    expect(buffers.take(10).buffer).toBe(small.buffer)
  })

  test('are kept two at a time, the largest, and none for a single huge batch', () => {
    const buffers = new Buffers()
    const sizes = [10, 30, 20, 9 * 1024 * 1024]
    const taken = sizes.map((size) => buffers.take(size))
    for (const one of taken) buffers.giveBack(one)
    const again = [buffers.take(5), buffers.take(5), buffers.take(5)].map(({ buffer }) => buffer)
    expect(again.slice(0, 2)).toEqual([taken[2]!.buffer, taken[1]!.buffer])
    expect(taken.map(({ buffer }) => buffer)).not.toContain(again[2]!)
  })
})
