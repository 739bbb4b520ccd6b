/** `bun run bridge`: the bridge by itself. Several share the topic's partitions. */
import { systemClock } from '../clock.ts'
import { bounds, readConfig } from '../config.ts'
import { runMain } from '../errors.ts'
import { parseFlags } from '../flags.ts'
import { systemHost } from '../host.ts'
import { RawKafka } from '../kafka.ts'
import { kafkaAddress, kafkaClient } from '../kafka-client.ts'
import { loadJob, SHIPPED_JOB } from '../load.ts'
import { createLog } from '../log.ts'
import { openStore, whenReady } from '../redis.ts'
import { agreedKeys } from '../shards.ts'
import { askedOf } from '../topics.ts'
import { openTrace } from '../trace/trace.ts'
import { FROM_FORMS, fromFlag } from './from.ts'
import { runBridge } from './run.ts'

const command = {
  help: `
Usage: bun run bridge [jobs/file.ts] [--from WHERE] [--accept-loss] [--fresh] [--begun] [--id NAME]

Moves the job's topic from Kafka into its Redis Stream until it is asked to end. Several bridges,
also on other machines, share the topic's partitions.

  --from WHERE             where to begin a topic that the job has not read before (START_FROM, by
                           default latest): ${FROM_FORMS}
  --accept-loss            go on past records that Kafka deleted before they were read
  --fresh                  begin anew where Redis has lost what the job had read
  --begun                  the job has a ledger: do not begin where it is missing
  --id NAME                the bridge's name, unique to this start (made up by default)
  --help                   this text

Exit code: 0 when it was asked to end and has, 1 when it could not go on, 2 for a mistake in the command,
the environment or the job file.

Environment: KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_*, REDIS_URL, REDIS_SHARDS, START_FROM, LOG_LEVEL, LOG_FORMAT`,
  options: {
    from: { type: 'string', choices: ['earliest', 'latest'] },
    'accept-loss': { type: 'boolean' },
    fresh: { type: 'boolean' },
    begun: { type: 'boolean' },
    id: { type: 'string' },
  },
} as const

void runMain('bridge', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: ['jobs/file.ts'] })
  const config = readConfig()
  const from = fromFlag(values.from, config.START_FROM)
  const job = await loadJob(positionals[0] ?? SHIPPED_JOB)
  const log = createLog('bridge', config.LOG_LEVEL)
  const store = openStore(config, log)
  const keys = await whenReady(store, () => agreedKeys(store, job, config.REDIS_SHARDS))
  const client = () => kafkaClient(config, 'millrace-bridge', { silenceMs: bounds.kafkaSilenceMs })
  const trace = await openTrace({ kind: 'bridge', id: values.id, job, clock: systemClock, log })
  await runBridge({
    job,
    keys,
    id: values.id,
    store,
    connect: ({ shard }) => {
      const wanted = (partition: number) => partition % keys.shards.length === shard
      return new RawKafka(client(), askedOf(job), wanted)
    },
    from,
    address: kafkaAddress(config),
    acceptLoss: values['accept-loss'] ?? false,
    fresh: values.fresh ?? false,
    begun: values.begun ?? false,
    trace,
    clock: systemClock,
    host: systemHost,
    log,
  })
  await trace?.close()
  return 0
})
