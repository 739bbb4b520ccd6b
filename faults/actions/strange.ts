/** A server that says that it is an old Redis, and OK to everything else. */
import type { TCPSocketListener } from 'bun'

export function oldRedis(version: string): { port: number; stop(): Promise<void> } {
  const info = `# Server\r\nredis_version:${version}\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n`
  const listener: TCPSocketListener<undefined> = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, bytes) {
        for (const [, name = ''] of bytes.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
          const asked = name.toUpperCase()
          if (asked === 'INFO') socket.write(`$${info.length}\r\n${info}\r\n`)
          else socket.write(asked === 'PING' ? '+PONG\r\n' : '+OK\r\n')
        }
      },
    },
  })
  return { port: listener.port, stop: async () => listener.stop(true) }
}
