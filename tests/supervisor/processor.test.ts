import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { Processor } from '../../supervisor/processor.ts'

test('room is what idled over the last second, and not known before half of one', () => {
  let at = 0
  let idleMs = 0
  const processor = new Processor({ elapsed: () => at }, () => idleMs)
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
  const processor = new Processor({ elapsed: () => systemClock.elapsed() * 1_000 })
  processor.room()
  expect(processor.room()).not.toBeNaN()
})
