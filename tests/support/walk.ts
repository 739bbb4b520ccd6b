/** What an executor reads of an entry's payload, as a list. */
import { deepStrictEqual } from 'node:assert'
import { arena } from '../../actors/executor/arena.ts'
import { RecordCursor } from '../../actors/executor/records.ts'

export type Step =
  | { offset: number; timestamp: number; value: string | null }
  | { corrupt: [number, number]; message: string }

/**
 * Everything that a cursor gives, in its order; the same whether it unpacks into the arena or not, and
 * whoever else does meanwhile.
 */
export function walk(payload: Buffer, from: number, to: number): Step[] {
  const steps = through(new RecordCursor(payload, from, to))
  const inArena = () => Object.assign(new RecordCursor(payload, from, to), { inArena: true })
  deepStrictEqual(through(inArena()), steps)
  const other = Buffer.alloc(100, '"')
  deepStrictEqual(
    through(inArena(), () => arena().hold(Buffer.from(other))),
    steps,
  )
  return steps
}

function through(cursor: RecordCursor, between = () => true): Step[] {
  const steps: Step[] = []
  for (;;) {
    between()
    const step = cursor.next()
    if (step === 'end') return steps
    if (step === 'corrupt') {
      const { from, to, message } = cursor.corrupt!
      steps.push({ corrupt: [from, to], message })
    } else {
      const { offset, timestamp, start, end, buffer } = cursor
      const value = start < 0 ? null : buffer.toString('utf8', start, end)
      steps.push({ offset, timestamp, value })
    }
    if (steps.length > 10_000) throw new Error('the cursor does not end')
  }
}
