/**
 * The error that a promise is rejected with. `await expect(promise).rejects…` says the same, but
 * Bun's types call that a void, which the linter refuses to see awaited.
 */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('value' in outcome) throw new Error(`expected a rejection, got ${Bun.inspect(outcome.value)}`)
  return outcome.error instanceof Error ? outcome.error : new Error(String(outcome.error))
}
