import { expect, test } from 'bun:test'
import { PARTITIONS_OF_A_TOPIC, partitionText } from '../../verify/numbers.ts'

const topic = (name: string, index: number) => ({ name, index, left: false })

test('a partition of several topics is told with its topic, and never by its number', () => {
  const two = { topics: [topic('orders', 0), topic('returns', 1)] }
  expect(partitionText(3, two)).toBe('orders:3')
  expect(partitionText(PARTITIONS_OF_A_TOPIC + 2, two)).toBe('returns:2')
  expect(partitionText(3, { topics: [] })).toBe('3')
  expect(partitionText(3, { topics: [topic('orders', 0)] })).toBe('3')
})
