import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  closableTo,
  firstWindowEnd,
  lastWindowEnd,
  panesOfWindow,
  paneStart,
  windowsOfPane,
} from '../../../actors/windows/windows.ts'

const sliding = { windowSizeMs: 10_000, windowSlideMs: 5_000 }
const tumbling = { windowSizeMs: 5_000, windowSlideMs: 5_000 }

/** Windows that hold an event time, by their definition alone. */
const windowsOf = (shape: typeof sliding, time: number): number[] =>
  windowsOfPane(shape, paneStart(shape, time))

describe('sliding windows', () => {
  //        -10  -5    0    5    10   15   20
  // panes   |    |    |    |    |    |    |
  //                        [5 ..10)
  // win               [0 ....... 10)
  //                        [5 ....... 15)
  test('of 10 s by 5 s hold a record twice', () => {
    expect(paneStart(sliding, 7_000)).toBe(5_000)
    expect(windowsOf(sliding, 7_000)).toEqual([0, 5_000])
    expect(panesOfWindow(sliding, 0)).toEqual([0, 5_000])
    expect(firstWindowEnd(sliding, 5_000)).toBe(10_000)
    expect(lastWindowEnd(sliding, 5_000)).toBe(15_000)
  })

  //          0         5         10
  //          [---------)               4,999 is in
  //                    [---------)     5,000 is not
  test('are half-open', () => {
    expect(paneStart(sliding, 4_999)).toBe(0)
    expect(paneStart(sliding, 5_000)).toBe(5_000)
    expect(windowsOf(sliding, 4_999)).toEqual([-5_000, 0])
    expect(windowsOf(sliding, 5_000)).toEqual([0, 5_000])
  })

  //      -10       -5        0         5
  //       [---------)                        -5,001
  //                 [---------)              -5,000 … -1
  //                           [---------)    0
  test('are cut towards minus infinity before 1970', () => {
    expect([-5_001, -5_000, -1, 0].map((time) => paneStart(sliding, time) + 0)).toEqual([
      -10_000, -5_000, -5_000, 0,
    ])
  })

  //       [0 ....... 10)          closed by a watermark of 10, not by 9.999
  //            [5 ....... 15)
  test('are closable when the watermark has reached their end', () => {
    expect(closableTo(sliding, 9_999)).toBe(5_000)
    expect(closableTo(sliding, 10_000)).toBe(10_000)
    expect(closableTo(sliding, -1)).toBe(-5_000)
  })
})

//     0    5    10
//     [----)          one window a pane
//          [----)
test('tumbling windows are sliding ones whose panes overlap nothing', () => {
  expect(windowsOf(tumbling, 4_999)).toEqual([0])
  expect(windowsOf(tumbling, 5_000)).toEqual([5_000])
  expect(panesOfWindow(tumbling, 5_000)).toEqual([5_000])
  expect(firstWindowEnd(tumbling, 5_000)).toBe(lastWindowEnd(tumbling, 5_000))
})

test('a record is in exactly the windows that contain its time, for any shape and time', () => {
  const shapes = fc.tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 8 }))
  const times = fc.integer({ min: -8_640_000_000_000, max: 8_640_000_000_000 })
  fc.assert(
    fc.property(shapes, times, ([slide, panes], time) => {
      const shape = { windowSizeMs: slide * panes, windowSlideMs: slide }
      const starts = windowsOf(shape, time)
      expect(starts).toHaveLength(panes)
      for (const start of starts) {
        expect(Math.abs(start % slide)).toBe(0)
        expect(start <= time && time < start + shape.windowSizeMs).toBe(true)
        expect(panesOfWindow(shape, start)).toContain(paneStart(shape, time))
      }
      expect(starts.at(0)! + shape.windowSizeMs).toBe(firstWindowEnd(shape, paneStart(shape, time)))
      expect(starts.at(-1)! + shape.windowSizeMs).toBe(lastWindowEnd(shape, paneStart(shape, time)))
    }),
  )
})
