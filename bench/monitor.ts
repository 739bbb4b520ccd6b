/** The lines of MONITOR, over a connection of its own: ioredis can't read a payload's bytes in them. */
export async function watchRedis(
  redisUrl: string,
  see: (line: string) => void,
): Promise<() => void> {
  const { hostname, port } = new URL(redisUrl)
  let rest = ''
  const data = (_: unknown, bytes: Buffer) => {
    const lines = (rest + bytes.toString('latin1')).split('\r\n')
    rest = lines.pop()!
    for (const line of lines) see(line)
  }
  const socket = await Bun.connect({ hostname, port: Number(port), socket: { data } })
  socket.write('MONITOR\r\n')
  return () => void socket.end()
}
