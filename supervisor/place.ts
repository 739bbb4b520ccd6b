/** A job's place beside others on the same Redis, by the supervisor's flags and environment. */
import { hostname } from 'node:os'
import type { Clock } from '../actors/clock.ts'
import type { Config } from '../actors/config.ts'
import { wholeNumberFlag } from '../actors/flags.ts'
import { systemHost } from '../actors/host.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import { type QuotaName, quotaRange } from '../actors/quota.ts'
import type { Store } from '../actors/redis.ts'
import { askedOf, topicsText } from '../actors/topics.ts'
import { pageOf, Registration } from './entries.ts'
import { Pool } from './pool.ts'
import { type InitialQuotas, Quotas } from './quotas.ts'
import { Tenancy } from './tenancy.ts'

interface Placed {
  quotas: InitialQuotas
  port: number
  web: boolean
}

export type QuotaFlags = {
  [Name in 'quota-records-per-second' | 'quota-memory-mib']?: string | undefined
}

/** @throws UsageError that names the flag */
export function quotasOf(values: QuotaFlags, config: Config): InitialQuotas {
  const given = new Set<QuotaName>()
  const quota = (flag: keyof QuotaFlags, name: QuotaName, otherwise: number) => {
    const value = wholeNumberFlag(flag, values[flag], quotaRange[name])
    if (value !== undefined) given.add(name)
    return value ?? otherwise
  }
  return {
    recordsPerSecond: quota(
      'quota-records-per-second',
      'recordsPerSecond',
      config.QUOTA_RECORDS_PER_SECOND,
    ),
    memoryMib: quota('quota-memory-mib', 'memoryMib', config.QUOTA_MEMORY_MIB),
    given,
  }
}

export function tenancyOf(
  { store, keys, clock }: { store: Store; keys: Keys; clock: Clock },
  job: Job,
  config: Config,
  settings: Placed,
): Tenancy {
  const { MILLRACE_EXECUTORS_TOTAL: total, MILLRACE_EXECUTORS_WEIGHT: weight } = config
  return new Tenancy({
    registration: new Registration(store, clock, placeOf(job, config, settings)),
    quotas: new Quotas(store, keys, clock, settings.quotas),
    pool: total === undefined ? null : new Pool({ store, clock, job: job.name, total, weight }),
  })
}

/** What the register of jobs says of this one. */
function placeOf(job: Job, config: Config, { port, web }: Placed) {
  const page = pageOf({ url: config.MILLRACE_PAGE_URL, host: config.HOST, port, web }, hostname())
  const asked = askedOf(job)
  const topics = asked instanceof RegExp ? [topicsText(asked)] : [...asked]
  return { job: job.name, topics, host: systemHost.name, page }
}
