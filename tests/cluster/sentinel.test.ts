/**
 * The real pipeline on a master that Sentinels watch: replaced on command, and later killed. Who asks
 * the Sentinels finds the new one, with functions and data.
 */
import { test } from 'bun:test'
import { Redis } from 'ioredis'
import { produce } from '../../faults/load.ts'
import { until } from '../../faults/until.ts'
import { ask } from '../../services/cluster.ts'
import { MASTER_NAME, startWatched, type Watched } from '../../services/sentinel.ts'
import { expectExact } from '../faults/exact.ts'
import { type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { testServices } from '../support/services.ts'

async function commits(pipeline: Pipeline, records = 2_000): Promise<void> {
  const committed = async () => (await pipeline.snapshot()).totals.committed
  const before = await until('the counters', async () => ({ now: await committed() }))
  const more = async () => (await committed()) >= before.now + records
  await until('records to be committed', more, { timeoutMs: 30_000 })
}

async function masterPort({ sentinels }: Watched): Promise<number> {
  const command = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME] as const
  const address = await ask<string[]>(sentinels[0]!.port, (redis: Redis) => redis.call(...command))
  return Number(address[1])
}

test('the master is told to give way, and another time dies: every record counts once', async () => {
  const watched = await startWatched()
  try {
    const { kafkaBrokers } = await testServices()
    const { redisUrl, master, replica, sentinels } = watched
    const environment = { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl }
    const services = { kafkaBrokers, redisUrl, environment }
    const options = { label: 'sentinel', job: 'students.ts', services, topic: { partitions: 4 } }
    await withPipeline(options, async (pipeline) => {
      await pipeline.begin()
      const load = produce(pipeline, 4_000)
      await commits(pipeline)
      const failover = ['SENTINEL', 'FAILOVER', MASTER_NAME] as const
      await ask(sentinels[0]!.port, (redis) => redis.call(...failover))
      await until('the replica to be the master', async () => {
        return (await masterPort(watched)) === replica.port
      })
      await commits(pipeline)
      await until('the old master to follow', async () => {
        const info = await ask<string>(master.port, (redis) => redis.info('replication'))
        return info.includes('role:slave') && info.includes('master_link_status:up')
      })
      await replica.stop('SIGKILL')
      const again = async () => (await masterPort(watched)) === master.port
      await until('the old master to be it again', again, { timeoutMs: 30_000 })
      await commits(pipeline)
      await load.end()
      await expectExact(pipeline)
    })
  } finally {
    await watched.stop()
  }
}, 90_000)
