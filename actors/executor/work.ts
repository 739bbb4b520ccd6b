/**
 * A job's `work` on the records in hand, together and within its time. What does not settle in time
 * is given up as hung: its signal is aborted, its promise is left alone (nothing can end it, so it
 * may still do something later), and the executor goes on.
 */
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Job, Meta, WorkContext } from '../job.ts'

/** A record's row and what Kafka says of it. */
export interface Given {
  row: unknown
  meta: Meta
}

export type Worked =
  | { kind: 'done'; row: unknown }
  | { kind: 'threw'; message: string }
  | { kind: 'hung' }

/** Resolves with an outcome for each row, in their order, after `workTimeoutMs` at the latest. */
export async function workOn(
  job: Pick<Job, 'work' | 'workTimeoutMs'>,
  given: readonly Given[],
  clock: Clock,
): Promise<Worked[]> {
  const { work } = job
  if (!work) return given.map(({ row }) => ({ kind: 'done', row }))
  const contexts: Context[] = []
  const outcomes: (Worked | Promise<Worked>)[] = given.map(({ row, meta }) => {
    const context = new Context(meta)
    contexts.push(context)
    return begin(work, row, context)
  })
  const waiting = outcomes.some((outcome) => outcome instanceof Promise)
  if (!waiting) return outcomes as Worked[]
  return withinTime(outcomes, contexts, job.workTimeoutMs, clock)
}

async function withinTime(
  outcomes: (Worked | Promise<Worked>)[],
  contexts: Context[],
  timeoutMs: number,
  clock: Clock,
): Promise<Worked[]> {
  const settled = new AbortController()
  const late = clock.sleep(timeoutMs, settled.signal).then((): Worked => ({ kind: 'hung' }))
  const results = await Promise.all(outcomes.map((outcome) => Promise.race([outcome, late])))
  settled.abort()
  results.forEach(({ kind }, i) => {
    if (kind === 'hung') contexts[i]!.abort(`given up after ${timeoutMs} ms`)
  })
  return results
}

/** Starts `work`; without a promise its outcome is known at once. Never throws or rejects. */
function begin(
  work: NonNullable<Job['work']>,
  row: unknown,
  context: Context,
): Worked | Promise<Worked> {
  try {
    const result = work(row, context)
    if (!isThenable(result)) return { kind: 'done', row: result }
    return Promise.resolve(result).then(
      (row): Worked => ({ kind: 'done', row }),
      (error: unknown): Worked => ({ kind: 'threw', message: messageOf(error) }),
    )
  } catch (error) {
    return { kind: 'threw', message: messageOf(error) }
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  value !== null &&
  (typeof value === 'object' || typeof value === 'function') &&
  'then' in value &&
  typeof value.then === 'function'

/** Makes its signal when it is asked for: most jobs never do. */
class Context implements WorkContext {
  readonly meta: Meta
  #controller: AbortController | null = null
  #reason: string | null = null

  constructor(meta: Meta) {
    this.meta = meta
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason !== null) this.#controller.abort(new Error(this.#reason))
    return this.#controller.signal
  }

  abort(reason: string): void {
    this.#reason = reason
    this.#controller?.abort(new Error(reason))
  }
}
