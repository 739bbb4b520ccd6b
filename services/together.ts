/**
 * Servers that end with the process that started them: when it leaves, and on SIGINT and SIGTERM
 * where nobody else handles these. (A kill -9 of us is the kernel's part; see server.ts.)
 */
import type { Server } from './server.ts'

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const

/** Returns the function that stops them in order and then cleans up; it does so once. */
export function stopWithUs(servers: Server[], cleanUp: () => void): () => Promise<void> {
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= stopAll(servers).finally(() => {
      process.off('exit', onExit)
      for (const [signal, handler] of handlers) process.off(signal, handler)
      cleanUp()
    })
    return stopping
  }
  const onExit = () => {
    for (const server of servers) if (server.running) process.kill(server.pid, 'SIGKILL')
    cleanUp()
  }
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
    const handler = () => {
      // A program with a shutdown of its own calls stop in its order.
      if (process.listenerCount(signal) > 1) return
      void stop().finally(() => process.exit(code))
    }
    return [signal, handler] as const
  })
  process.on('exit', onExit)
  for (const [signal, handler] of handlers) process.on(signal, handler)
  return stop
}

async function stopAll(servers: Server[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()))
}
