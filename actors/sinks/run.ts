/**
 * All sinks of a job in one process: an actor that beats as every other, and a delivery for each sink.
 */
import type { Clock } from '../clock.ts'
import type { Job } from '../job.ts'
import type { Keys } from '../keys.ts'
import { type Lineage, successionOf } from '../lineage.ts'
import { Lifecycle, startWhenReady } from '../lifecycle.ts'
import type { Log } from '../log.ts'
import type { Store } from '../redis.ts'
import { Delivery } from './delivery.ts'
import type { Environment } from './sink.ts'

export interface SinksParts {
  job: Job
  keys: Keys
  id: string | undefined
  store: Store
  environment: Environment
  lineage: Lineage | null
  clock: Clock
  log: Log
}

/** Runs until the actor is asked to end. @throws UsageError where a sink lacks something */
export async function runSinks(parts: SinksParts): Promise<void> {
  const { job, store, keys, clock, log, id, lineage } = parts
  const succession = successionOf(job.name, lineage)
  const life = new Lifecycle({ kind: 'sinks', id, store, keys, clock, log })
  const explain = () => life.explain(complaintOf(deliveries))
  const deliveries = job.sinks.map(
    (sink) => new Delivery({ ...parts, succession, sink, who: life.id, onComplaint: explain }),
  )
  await startWhenReady(life, [store], clock)
  life.to('running')
  await Promise.all(deliveries.map((delivery) => delivery.run(life.draining)))
  await life.leave()
}

function complaintOf(deliveries: readonly Delivery[]): string | null {
  const complaints = deliveries.flatMap(({ complaint }) => complaint ?? [])
  return complaints.length > 0 ? complaints.join('; ') : null
}
