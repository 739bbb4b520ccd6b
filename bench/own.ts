/**
 * What a benchmark has for itself: a Kafka, a Redis, and the commands that it starts beside them. All
 * of it is stopped when the work is done, fails, or is interrupted (Ctrl-C, SIGTERM).
 */
import { Children } from '../demo/children.ts'
import { createProgress } from '../cli/progress.ts'
import { type Services, startServices } from '../services/services.ts'

export interface Own {
  services: Services
  children: Children
  /** Commands with more in their environment. */
  childrenWith(environment: Record<string, string>): Children
  /** Aborted when all of it is being stopped: what fails from then on is nobody's concern. */
  stopping: AbortSignal
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const

/** Answers with the work's exit code, or with the signal's. */
export async function withOwn(work: (own: Own) => Promise<number>): Promise<number> {
  const services = await startServices({ log: createProgress() })
  const all: Children[] = []
  const childrenWith = (more: Record<string, string>) => {
    const given = { ...process.env, ...services.environment, LOG_LEVEL: 'warn', ...more }
    const children = new Children(given)
    all.push(children)
    return children
  }
  const over = new AbortController()
  const own = { services, children: childrenWith({}), childrenWith, stopping: over.signal }
  try {
    return await Promise.race([work(own), interrupted()])
  } finally {
    over.abort()
    for (const children of all) await children.stop()
    await services.stop()
  }
}

/** At the second signal the process ends at once, and its servers with it. */
function interrupted(): Promise<number> {
  return new Promise((resolve) => {
    let times = 0
    for (const [signal, code] of Object.entries(exitCodes)) {
      process.on(signal, () => {
        if (++times > 1) process.exit(code)
        resolve(code)
      })
    }
  })
}
