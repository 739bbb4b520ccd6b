/** What a job's quotas say, from what stands in Redis. */
import { describe, expect, test } from 'bun:test'
import { heldText, quotaOf } from '../../actors/quota.ts'

const now = 1_800_000_000_000
const both = { quotaRecordsPerSecond: '500', quotaMemoryMib: '10' }
const memory = [1, 2, 6, 3].map((mib) => mib * 2 ** 20).join(' ')

test('without a quota nothing holds, whatever is left of earlier ones', () => {
  const left = { heldAt: String(now), memoryHeld: '1', memory }
  const none = { recordsPerSecond: null, memoryBytes: null, used: null, heldBy: null }
  expect(quotaOf({}, left, now)).toEqual(none)
  expect(quotaOf({ quotaRecordsPerSecond: '0', quotaMemoryMib: '0' }, left, now)).toEqual(none)
  expect(heldText(none)).toBeNull()
})

test.each(['-1', '1e9', 'many', '', '99999999999'])('%j is no quota', (text) => {
  const state = quotaOf({ quotaRecordsPerSecond: text }, {}, now)
  expect(state.recordsPerSecond).toBeNull()
})

describe('the pace', () => {
  const heldBy = (heldAt: number) => quotaOf(both, { heldAt: String(heldAt) }, now).heldBy
  test('holds for as long as the bridge has waited of late', () => {
    expect(heldBy(now - 1_000)).toBe('rate')
    expect(heldBy(now - 3_001)).toBeNull()
  })
  test('is told with its number', () => {
    const text = heldText(quotaOf(both, { heldAt: String(now) }, now))
    expect(text).toBe('held by its quota of 500 records a second: what is over waits in Kafka')
  })
})

test('memory holds before the pace, and is told with where it is', () => {
  const state = quotaOf(both, { heldAt: String(now), memoryHeld: '1', memory }, now)
  expect(state.heldBy).toBe('memory')
  expect(heldText(state)).toBe(
    'held by its memory quota: it uses 12 of 10 MiB in Redis (stream 1, open windows 2, closed windows 6, rest 3); records wait in Kafka',
  )
})
