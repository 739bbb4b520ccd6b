import { expect, test } from 'bun:test'
import { inLanes, longestFirst } from './lanes.ts'

test('each lane takes the next item as soon as it is free; results keep the items’ order', async () => {
  const began: string[] = []
  const long = Promise.withResolvers<void>()
  const results = inLanes(['a', 'b'], [1, 2, 3, 4], async (item, lane) => {
    began.push(`${item}${lane}`)
    if (item === 1) await long.promise
    if (item === 4) long.resolve()
    return item * 10
  })
  expect(await results).toEqual([10, 20, 30, 40])
  expect(began).toEqual(['1a', '2b', '3b', '4b'])
})

test('one that throws is thrown', async () => {
  const thrown = inLanes(['a'], [1], () => Promise.reject(new Error('no')))
  expect(await thrown.catch((error: Error) => error.message)).toBe('no')
})

test('the longest come first, in their order, and then the others in theirs', () => {
  const items = ['cli', 'actors', 'web', 'faults']
  const order = longestFirst(items, ['faults', 'actors', 'gone'], (name) => name)
  expect(order).toEqual(['faults', 'actors', 'cli', 'web'])
})
