/**
 * Errors that end a command, and what a person reads of them.
 */

/** The user gave something that can't be used: one line that says what and what is allowed. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** The data or the servers are in a state in which going on would lose or repeat records. */
export class RefusalError extends Error {
  override name = 'RefusalError'
}

export const EXIT_USAGE = 2

/** The message of anything thrown, in one line of at most 500 characters. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error)
  return text.replace(/\s+/g, ' ').slice(0, 500)
}

/** Runs a command's main function; a UsageError ends it with code 2, another error with 1. */
export async function runMain(name: string, main: () => Promise<number | void>): Promise<void> {
  try {
    const code = await main()
    if (typeof code === 'number') process.exit(code)
  } catch (error) {
    const usage = error instanceof UsageError
    const expected = usage || error instanceof RefusalError
    process.stderr.write(`${name}: ${messageOf(error)}\n`)
    if (!expected && error instanceof Error && process.env.LOG_LEVEL === 'debug') {
      process.stderr.write(`${error.stack}\n`)
    }
    process.exit(usage ? EXIT_USAGE : 1)
  }
}
