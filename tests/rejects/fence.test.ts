import { expect, test } from 'bun:test'
import type { Kafka } from 'kafkajs'
import { systemClock } from '../../actors/clock.ts'
import { RefusalError } from '../../actors/errors.ts'
import { openFence } from '../../rejects/fence.ts'

test('who is shut out while it begins is told so, and leaves', async () => {
  let left = false
  const fenced = Object.assign(new Error('an old epoch'), { type: 'INVALID_PRODUCER_EPOCH' })
  const producer = {
    connect: async () => {},
    disconnect: async () => {
      left = true
    },
    transaction: async () => ({ abort: () => Promise.reject(fenced) }),
  }
  const kafka = { producer: () => producer } as unknown as Kafka
  const failure = await openFence(kafka, 'rooms', [], systemClock).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(RefusalError)
  expect((failure as Error).message).toBe(
    'another replay of this job has begun meanwhile, and goes on',
  )
  expect(left).toBeTrue()
})
