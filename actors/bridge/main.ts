/** `bun run bridge`: the bridge by itself. Of several, one works and the others stand by. */
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { runMain } from '../errors.ts'
import { choiceFlag, parseFlags } from '../flags.ts'
import { RawKafka } from '../kafka.ts'
import { kafkaAddress, kafkaClient } from '../kafka-client.ts'
import { keysOf } from '../keys.ts'
import { Lease } from '../lease.ts'
import { Lifecycle } from '../lifecycle.ts'
import { loadJob, SHIPPED_JOB } from '../load.ts'
import { createLog } from '../log.ts'
import { openStore, untilReady } from '../redis.ts'
import { Bridge } from './bridge.ts'

const command = {
  help: `
Usage: bun run bridge [jobs/file.ts] [--from earliest|latest] [--accept-loss] [--id NAME]

Moves the job's topic from Kafka into its Redis Stream until it is asked to end.

  --from earliest|latest   where to begin a topic that the job has not read before
                           (START_FROM, by default latest)
  --accept-loss            go on past records that Kafka deleted before they were read
  --id NAME                the bridge's name, unique to this start (made up by default)
  --help                   this text

Environment: KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_*, REDIS_URL, START_FROM, LOG_LEVEL`,
  options: {
    from: { type: 'string' },
    'accept-loss': { type: 'boolean' },
    id: { type: 'string' },
  },
} as const

/** Which of several bridges works; short, so that a killed one is replaced within 2 s. */
const leaseMs = 1_500
const renewMs = 500

await runMain('bridge', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: ['jobs/file.ts'] })
  const config = readConfig()
  const from = choiceFlag('from', values.from, ['earliest', 'latest']) ?? config.START_FROM
  const job = await loadJob(positionals[0] ?? SHIPPED_JOB)
  const keys = keysOf(job.name)
  const log = createLog('bridge', config.LOG_LEVEL)
  const clock = systemClock
  const store = openStore(config, log)
  const life = new Lifecycle({ kind: 'bridge', id: values.id, store, keys, clock, log })
  await untilReady(store)
  await life.start()
  const lease = new Lease({
    store,
    base: keys.base,
    name: 'bridge',
    holder: life.id,
    clock,
    leaseMs,
    renewMs,
  })
  while (!life.draining.aborted) {
    const lost = await lease.take(life.draining, () =>
      log.info('another bridge works; standing by'),
    )
    const signal = AbortSignal.any([lost, life.draining])
    const connect = () => new RawKafka(kafkaClient(config, 'millrace-bridge'), job.topic)
    const address = kafkaAddress(config)
    const acceptLoss = values['accept-loss'] ?? false
    const options = {
      job,
      keys,
      store,
      connect,
      from,
      address,
      acceptLoss,
      clock,
      log,
      life,
      signal,
    }
    await new Bridge(options).run()
  }
  await lease.giveBack()
  await life.leave()
  return 0
})
