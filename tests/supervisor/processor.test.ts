import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { Processor } from '../../supervisor/processor.ts'

test('room is what idled over the last second, and not known before half of one', () => {
  let at = 0
  let idleMs = 0
  const processor = new Processor({ ...systemClock, elapsed: () => at }, () => idleMs)
  const pass = (ms: number, cores: number) => {
    at += ms
    idleMs += ms * cores
    return processor.room()
  }
  expect(processor.room()).toBeNull()
  expect(pass(250, 2)).toBeNull()
  expect(pass(250, 2)).toBeCloseTo(2)
  for (let i = 0; i < 4; i++) pass(250, 0.5)
  expect(processor.room()).toBeCloseTo(0.5)
  // After a long pause between two looks, all of it.
  expect(pass(10_000, 1.5)).toBeCloseTo(1.5)
})

test('this machine says what it has', () => {
  const processor = new Processor({ ...systemClock, elapsed: () => systemClock.elapsed() * 1_000 })
  processor.room()
  expect(processor.room()).not.toBeNaN()
})

test('what can wait goes on when half a core idles, and after so long in any case', async () => {
  const waited = async (coresAt: (ms: number) => number, signal = new AbortController().signal) => {
    let at = 0
    let idleMs = 0
    const sleep = (ms: number) => {
      idleMs += ms * coresAt(at)
      at += ms
      return Promise.resolve()
    }
    const clock = { ...systemClock, elapsed: () => at, sleep }
    await new Processor(clock, () => idleMs).spare(8_000, signal)
    return at
  }
  expect(await waited(() => 2)).toBe(500)
  expect(await waited((ms) => (ms < 3_000 ? 0.1 : 1))).toBe(3_500)
  expect(await waited(() => 0.4)).toBe(8_000)
  expect(await waited(() => 0, AbortSignal.abort())).toBe(0)
})
