/**
 * Runs a program to its end and hands on each line of its output.
 */
export interface RunOptions {
  /** Beside our own environment. */
  environment?: Record<string, string>
  directory?: string
  timeoutMs?: number
  onLine?: (line: string) => void
}

export interface RunResult {
  code: number
  /** The first line that says "error", else the last one that is not blank. */
  lastLine: string
}

export async function runSteps(command: string[], options: RunOptions = {}): Promise<RunResult> {
  const child = Bun.spawn(command, {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, ...options.environment },
    ...(options.directory ? { cwd: options.directory } : {}),
    ...(options.timeoutMs ? { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const } : {}),
  })
  const last = { any: '', error: '' }
  const take = (text: string) => {
    const line = text.trim()
    if (line === '') return
    last.any = line
    if (/\berror\b|^E:/i.test(line) && last.error === '') last.error = line
    options.onLine?.(line)
  }
  await Promise.all([eachLine(child.stdout, take), eachLine(child.stderr, take)])
  return { code: await child.exited, lastLine: last.error || last.any }
}

/** Calls `take` with each line of a stream of UTF-8, also with a last one without its end. */
export async function eachLine(
  stream: ReadableStream<Uint8Array>,
  take: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  }
  if (rest !== '') take(rest)
}
