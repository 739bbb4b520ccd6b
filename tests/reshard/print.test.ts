import { expect, test } from 'bun:test'
import { shardsText } from '../../reshard/print.ts'

const shard = (
  number: number,
  ...partitions: readonly (readonly [topic: string | null, partition: number])[]
) => ({
  shard: number,
  partitions: partitions.map(([topic, partition]) => ({ topic, partition })),
  waiting: 1,
  waitingBytes: 100,
  master: '127.0.0.1:6379',
})

test('a shard is told with its partitions, of several topics by their names', () => {
  const number = { text: '2', from: 2, to: null, decided: false }
  const one = [shard(0, [null, 0], [null, 2]), shard(1)]
  expect(shardsText('rooms', number, one).split('\n')).toEqual([
    'job rooms has 2 shards',
    '  shard 0   partitions 0, 2   1 record waiting   127.0.0.1:6379',
    '  shard 1   partitions none   1 record waiting   127.0.0.1:6379',
  ])
  const several = [shard(0, ['a', 0], ['a', 2], ['b', 0])]
  expect(shardsText('rooms', number, several)).toContain('partitions 0, 2 of a; 0 of b   1 record')
})

test('a change that is under way is told with what can be done about it', () => {
  const to3 = { text: '2>3', from: 2, to: 3, decided: false }
  expect(shardsText('rooms', to3, [])).toBe(
    'job rooms has 2 shards, and is being changed to 3: run reshard --to 3 to end that, or --to 2 to give it up',
  )
  expect(shardsText('rooms', { ...to3, decided: true }, [])).toBe(
    'job rooms has 2 shards, and is being changed to 3: run reshard --to 3 to end that, as it has begun to be taken',
  )
})
