import { expect, test } from 'bun:test'
import { type Clock, systemClock } from '../../actors/clock.ts'
import { Lifecycle } from '../../actors/lifecycle.ts'
import { openPlace, silentLog } from '../support/redis.ts'

const MINUTE_MS = 60_000

for (const minutes of [-10, 10]) {
  test(`an actor whose clock is ${minutes} minutes off goes by the later of its own and Redis's`, async () => {
    const { store, keys, end } = await openPlace('lifecycle')
    const clock: Clock = {
      ...systemClock,
      now: () => systemClock.now() + minutes * MINUTE_MS,
    }
    try {
      const life = new Lifecycle({ kind: 'executor', store, keys, clock, log: silentLog })
      expect(life.now()).toBeCloseTo(clock.now(), -3)
      await life.beat()
      const later = systemClock.now() + Math.max(minutes, 0) * MINUTE_MS
      expect(Math.abs(life.now() - later)).toBeLessThan(MINUTE_MS)
    } finally {
      await end()
    }
  })
}
