/**
 * Errors that end a command, and what a person reads of them.
 */
import { escaped } from './escape.ts'
import { exitTold, outliveReaders } from './output.ts'

/** The user gave something that can't be used: one line that says what and what is allowed. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** The data or the servers are in a state in which going on would lose or repeat records. */
export class RefusalError extends Error {
  override name = 'RefusalError'
}

/** What every command's exit code says; the one place where they are told. */
export const exitCodes = {
  done: { code: 0, means: 'done, and nothing found wrong' },
  failed: { code: 1, means: 'something was found wrong, or it could not be done' },
  usage: { code: 2, means: 'a mistake in the command, the environment or the job file' },
  interrupted: { code: 130, means: 'ended by Ctrl-C (SIGINT) before it was done' },
  terminated: { code: 143, means: 'ended by SIGTERM before it was done' },
} as const

export const EXIT_USAGE = exitCodes.usage.code

/** The message of anything thrown, in one line of at most 500 characters. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error)
  return text.replace(/\s+/g, ' ').slice(0, 500)
}

/** How many errors a chain of causes tells. */
const causesTold = 5

/**
 * The message of an error and of what caused it, outermost first, in one line. What an outer message
 * says already is not said again; of errors that several attempts ended with, the first stands for all.
 */
export function causesOf(error: unknown): string {
  const told: string[] = []
  let next: unknown = error
  for (let depth = 0; depth < causesTold && next !== undefined && next !== null; depth++) {
    const message = messageOf(next)
    if (!told.some((outer) => outer.includes(message))) told.push(message)
    next = next instanceof AggregateError ? next.errors[0] : (next as { cause?: unknown }).cause
  }
  return told.join(' ← ')
}

/**
 * Runs a command's main function; a UsageError ends it with code 2, another error with 1. What it has
 * said is said before it ends, and a reader that goes away (`| head`) does not end it: what it does
 * may matter more than what it says.
 */
export async function runMain(name: string, main: () => Promise<number | void>): Promise<void> {
  outliveReaders()
  try {
    const code = await main()
    if (typeof code === 'number') await exitTold(code)
  } catch (error) {
    const usage = error instanceof UsageError
    const expected = usage || error instanceof RefusalError
    process.stderr.write(`${name}: ${escaped(messageOf(error))}\n`)
    if (!expected && error instanceof Error && process.env.LOG_LEVEL === 'debug') {
      process.stderr.write(`${error.stack}\n`)
    }
    await exitTold(usage ? EXIT_USAGE : 1)
  }
}
