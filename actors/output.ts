/**
 * What a command says, and to whom: a reader may be slow, and it may go away before the end (`| head`).
 */

/** A line to stdout. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`)

const outputs = () => [process.stdout, process.stderr]

/** From here on a reader that goes away ends nothing: what a command does matters more than what it says. */
export function outliveReaders(): void {
  for (const output of outputs()) output.on('error', () => {})
}

/** Aborted once nobody reads it any more: for what goes on saying things until it is ended. */
export function unread(output: NodeJS.WriteStream): AbortSignal {
  const gone = new AbortController()
  output.once('error', () => gone.abort())
  return gone.signal
}

/** Ends the process once all is taken that it has said; `process.exit` alone drops what a full pipe has not taken. */
export async function exitTold(code: number): Promise<never> {
  await Promise.all(outputs().map((output) => new Promise<void>((told) => output.end(told))))
  process.exit(code)
}
