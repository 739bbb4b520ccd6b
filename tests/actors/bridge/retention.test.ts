import { expect, test } from 'bun:test'
import { lostBefore } from '../../../actors/bridge/retention.ts'

const job = { name: 'sums', topic: 'numbers' }
const stand = (position: number, first: number, last: number) =>
  lostBefore({ job, partition: 3, position, first, last })

test('a job that stands within what Kafka holds has lost nothing', () => {
  for (const position of [10, 15, 20]) expect(stand(position, 10, 20)).toBeNull()
})

test('what Kafka deleted before it was read is named exactly', () => {
  expect(stand(4, 10, 20)).toBe(
    'records 4 to 9 of partition 3 of topic numbers were deleted by retention before they were read',
  )
})

test('a topic that ends before what was read stops the job', () => {
  expect(() => stand(21, 10, 20)).toThrow(
    'partition 3 of topic numbers ends at offset 20, but job sums has read up to 21',
  )
})
