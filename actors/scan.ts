/** Keys by a pattern, wherever they are: of a cluster each master is asked. */
import { masters, type RedisCommands } from './redis-connection.ts'

const SCAN_COUNT = 500

/** Page by page; a key may come twice, and one that moves from master to master meanwhile not at all. */
export async function* keysLike(
  redis: RedisCommands,
  match: string,
): AsyncGenerator<string[], void> {
  for (const node of masters(redis)) {
    let cursor = '0'
    do {
      const [next, keys] = await node.scan(cursor, 'MATCH', match, 'COUNT', SCAN_COUNT)
      if (keys.length > 0) yield keys
      cursor = next
    } while (cursor !== '0')
  }
}
