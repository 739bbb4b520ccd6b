import { expect, test } from 'bun:test'
import { ReplyError } from 'ioredis'
import { functionsOf, isOutage } from '../../../actors/redis.ts'
import { rejection } from '../../support/rejection.ts'

/** A Redis whose functions are flushed again before the call they were loaded for, so many times. */
function flushed(times: number) {
  const seen: string[] = []
  const call = (command: string) => {
    seen.push(command)
    if (command !== 'FCALL') return Promise.resolve('loaded')
    return times-- > 0
      ? Promise.reject(new ReplyError('ERR Function not found'))
      : Promise.resolve('done')
  }
  const redis = { call, callBuffer: call } as unknown as Parameters<typeof functionsOf>[0]
  return { functions: functionsOf(redis), seen }
}

test('functions that are flushed right after they were loaded are loaded again', async () => {
  const { functions, seen } = flushed(3)
  expect(await functions.call('beat', 'base', [])).toBe('done')
  expect(seen).toEqual(['FCALL', 'FUNCTION', 'FCALL', 'FUNCTION', 'FCALL', 'FUNCTION', 'FCALL'])
})

test('not without end: then it is an outage, and the caller asks again', async () => {
  const { functions, seen } = flushed(Infinity)
  const error = await rejection(functions.callBuffer('commit', 'base', []))
  expect(error.message).toBe('ERR Function not found')
  expect(isOutage(error)).toBe(true)
  expect(seen.filter((command) => command === 'FUNCTION')).toHaveLength(3)
})
