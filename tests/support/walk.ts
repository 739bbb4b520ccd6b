/** What an executor reads of an entry's payload, as a list. */
import { RecordCursor } from '../../actors/executor/records.ts'

export type Step =
  | { offset: number; timestamp: number; value: string | null }
  | { corrupt: [number, number]; message: string }

/** Everything that a cursor gives, in its order. */
export function walk(payload: Buffer, from: number, to: number): Step[] {
  const cursor = new RecordCursor(payload, from, to)
  const steps: Step[] = []
  for (;;) {
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
