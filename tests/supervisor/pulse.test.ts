import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { type Clock, systemClock } from '../../actors/clock.ts'
import { until } from '../../faults/until.ts'
import { listen, Pulse } from '../../supervisor/pulse.ts'
import { testServices } from '../support/services.ts'
import { openJob } from './family.ts'

/** A sleep ends by its signal alone, so that whatever ends a pause is the pulse. */
const clock = {
  elapsed: () => 0,
  sleep: (_, signal) =>
    new Promise((resolve) => signal?.addEventListener('abort', () => resolve())),
} as Pick<Clock, 'elapsed' | 'sleep'> as Clock

/** Whether a pause that has begun is over, once what is ready has been seen to. */
async function isOver(pause: Promise<void>): Promise<boolean> {
  const never = new Promise<false>((resolve) => setImmediate(() => resolve(false)))
  return Promise.race([pause.then(() => true), never])
}

describe('a record that arrives', () => {
  test('ends the pause where nobody is at work', async () => {
    const pulse = new Pulse(clock)
    const pause = pulse.pause(250)
    pulse.arrived()
    expect(await isOver(pause)).toBe(true)
  })

  test('does not where somebody is, and a wake does', async () => {
    const pulse = new Pulse(clock)
    pulse.heed(false)
    const pause = pulse.pause(250)
    pulse.arrived()
    expect(await isOver(pause)).toBe(false)
    pulse.wake()
    expect(await isOver(pause)).toBe(true)
  })

  test('during the look that sends the last one home ends the pause behind it', async () => {
    const pulse = new Pulse(clock)
    pulse.heed(false)
    pulse.begins()
    pulse.arrived()
    pulse.heed(true)
    expect(await isOver(pulse.pause(250))).toBe(true)
  })

  test('before that look is seen by it', async () => {
    const pulse = new Pulse(clock)
    pulse.heed(false)
    pulse.arrived()
    pulse.begins()
    pulse.heed(true)
    expect(await isOver(pulse.pause(250))).toBe(false)
  })
})

describe('a wake right after a look', () => {
  /** Time passes only while somebody sleeps to the end. */
  function counting() {
    let now = 0
    const slept: number[] = []
    const sleep = (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        signal?.addEventListener('abort', () => resolve())
        if (signal) return
        slept.push(ms)
        now += ms
        resolve()
      })
    return { slept, clock: { elapsed: () => now, sleep } as Pick<Clock, 'elapsed' | 'sleep'> }
  }

  test('waits until looks are as far apart as they must be', async () => {
    const { clock, slept } = counting()
    const pulse = new Pulse(clock as Clock)
    const pause = pulse.pause(250, 25)
    pulse.wake()
    await pause
    expect(slept).toEqual([25])
  })

  test('that came before the pause does too', async () => {
    const { clock, slept } = counting()
    const pulse = new Pulse(clock as Clock)
    pulse.wake()
    await pulse.pause(250, 25)
    expect(slept).toEqual([25])
  })
})

describe('the supervisor’s mailbox, listened to', () => {
  beforeAll(testServices, 120_000)

  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  /** A job that is open, and how a record of it arrives. */
  async function opened(label: string) {
    const { store, keys } = await openJob(label)
    closing.push(() => store.close())
    await store.call('open', keys.base, ['topic', 'shape', 0, 0, 0])
    const append = () => store.call('append', keys.base, [0, 0, 1, 1, 1, 0, 1, 1, 'payload'])
    return { store, keys, append }
  }

  /** Resolves once the reader waits for what comes next. */
  async function listening(pulse: Pulse, { store, keys }: Awaited<ReturnType<typeof opened>>) {
    const mailbox = await openJob('pulse-mailbox')
    const ended = new AbortController()
    const reading = listen(mailbox.store, keys, pulse, systemClock, ended.signal)
    closing.push(async () => {
      ended.abort()
      await mailbox.store.close()
      await reading
    })
    await until('the reader', async () =>
      /cmd=xread/.test(String(await store.redis.client('LIST'))),
    )
  }

  test('the first record ends the pause', async () => {
    const job = await opened('pulse-first')
    const pulse = new Pulse(clock)
    await listening(pulse, job)
    // Of what was there before, which is nothing here.
    await pulse.pause(250)
    const pause = pulse.pause(250)
    expect(await isOver(pause)).toBe(false)
    await job.append()
    await pause
  })

  test('so does one that was there before it was listened to', async () => {
    const job = await opened('pulse-early')
    await job.append()
    const pulse = new Pulse(clock)
    await listening(pulse, job)
    await pulse.pause(250)
  })
})
