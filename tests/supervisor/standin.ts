/**
 * A child that stands in for an executor or a bridge: `bun standin.ts <mode> <job> --id <id>`.
 * good: beats, leaves when asked · deaf: beats and never leaves · refuses: says why and ends ·
 * mute: lives and says nothing
 */
import { systemClock } from '../../actors/clock.ts'
import { readConfig } from '../../actors/config.ts'
import { keysOf } from '../../actors/keys.ts'
import { Lifecycle } from '../../actors/lifecycle.ts'
import { createLog } from '../../actors/log.ts'
import { openStore, untilReady } from '../../actors/redis.ts'

const [mode = 'good', job = '', , id] = process.argv.slice(2)
if (mode === 'refuses') {
  process.stderr.write('executor: the topic is another one\n')
  process.exit(1)
}
const clock = systemClock
const log = createLog(id ?? 'standin', 'error')
const keys = keysOf(job)
const store = openStore(readConfig(), log)
const life = new Lifecycle({ kind: 'executor', id, store, keys, clock, log })
if (mode === 'mute') await clock.sleep(60_000)
await untilReady(store)
await life.start()
life.to('running')
if (mode === 'deaf') {
  process.removeAllListeners('SIGTERM')
  process.on('SIGTERM', () => log.debug('not listening'))
  await clock.sleep(60_000)
}
await Promise.race([
  new Promise((resolve) => life.draining.addEventListener('abort', resolve)),
  listenToMailbox(),
])
await life.leave()
process.exit(0)

async function listenToMailbox(): Promise<void> {
  while (!life.draining.aborted) {
    const messages = await store.redis.xrange(keys.mailbox(life.id), '-', '+')
    if (messages.some(([, fields]) => fields[1]?.includes('drain'))) life.drain('by mailbox')
    await clock.sleep(20)
  }
}
