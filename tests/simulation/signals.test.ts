/** The simulation's signals do what the engine's own do, in the same order. */
import { expect, test } from 'bun:test'
import { withPlainSignals } from '../../faults/simulation/signals.ts'

/** What an actor may see of signals, step by step. */
function seen(): unknown[] {
  const log: unknown[] = []
  const say = (what: string) => () => void log.push(what)
  const outer = new AbortController()
  const inner = new AbortController()
  const either = AbortSignal.any([inner.signal, outer.signal])
  const again = say('outer')
  outer.signal.addEventListener('abort', again, { once: true })
  outer.signal.addEventListener('abort', again, { once: true })
  either.addEventListener('abort', say('either'), { once: true })
  outer.signal.addEventListener('abort', say('outer, later'), { once: true })
  const removed = say('removed')
  either.addEventListener('abort', removed)
  either.removeEventListener('abort', removed)
  log.push(outer.signal.aborted, either.aborted)
  outer.abort('the reason')
  outer.abort('another reason')
  inner.abort()
  outer.signal.addEventListener('abort', say('too late'))
  log.push(outer.signal.aborted, outer.signal.reason, either.aborted, either.reason)
  const ended = AbortSignal.any([AbortSignal.abort('before'), new AbortController().signal])
  log.push(ended.aborted, ended.reason, AbortSignal.abort().aborted)
  try {
    ended.throwIfAborted()
  } catch (error) {
    log.push(error)
  }
  return log
}

test('plain signals are as the engine’s own', () => {
  let plain: unknown[] = []
  withPlainSignals(() => {
    plain = seen()
  })
  expect(plain).toEqual(seen())
  expect(plain).toContain('either')
})

test('the engine’s own are back afterwards, also after an error', () => {
  const { AbortController, AbortSignal } = globalThis
  const failing = () =>
    withPlainSignals(() => {
      throw new Error('as a world may')
    })
  expect(failing).toThrow('as a world may')
  expect(globalThis.AbortController).toBe(AbortController)
  expect(globalThis.AbortSignal).toBe(AbortSignal)
})
