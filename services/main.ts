/**
 * `bun run services up|down|status`: the real Kafka and Redis for development. `up` leaves what it
 * started running; `down` stops that and nothing else.
 */
import { join, resolve } from 'node:path'
import { runMain, UsageError } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { print } from '../actors/output.ts'
import { composeStop } from './compose.ts'
import {
  type FindOptions,
  type Found,
  findServices,
  kafkaSearch,
  redisSearch,
  type Search,
} from './find.ts'
import { home } from './jars.ts'
import { withLock } from './lock.ts'
import { createProgress } from '../cli/progress.ts'
import { endProcess, forget, readRecord } from './records.ts'

const command = {
  help: `
usage: bun run services up|down|status [--kafka-port N] [--redis-port N] [--data DIR] [--json]

The Kafka and the Redis for development.

  up       uses what KAFKA_BROKERS and REDIS_URL name; else what answers on the usual ports; else
           starts containers (docker compose), else local programs, which stay until "down"
  down     stops what "up" started, and nothing else
  status   one line each

  --kafka-port N   of a Kafka on 127.0.0.1, whatever KAFKA_BROKERS names (9092)
  --redis-port N   of a Redis on 127.0.0.1, whatever REDIS_URL names (6379)
  --data DIR       data and logs of what is started (.millrace/services)
  --json           as JSON, { services: [{ name, address, answers, variable, pid }] }: the environment's
                   variable where that names it, the process where "up" started it; of down
                   { services: [{ name, stopped }] }

Other ports and another directory make a second pair beside the first.
Exit code: 0; 1 where something can't be started, and of status where one does not answer; 2 for a
mistake in the command.
`,
  options: {
    'kafka-port': { type: 'string' },
    'redis-port': { type: 'string' },
    data: { type: 'string' },
    json: { type: 'boolean' },
  },
  positionals: ['up|down|status'],
} as const

const PORTS = { from: 1, to: 65_535 }
const VERBS = ['up', 'down', 'status'] as const
const NAMES = ['kafka', 'redis'] as const

async function main(): Promise<number> {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const kafkaPort = wholeNumberFlag('kafka-port', values['kafka-port'], PORTS)
  const redisPort = wholeNumberFlag('redis-port', values['redis-port'], PORTS)
  const options = {
    dir: resolve(values.data ?? join(home, 'services')),
    detached: true,
    log: createProgress(),
    ...(kafkaPort !== undefined && { kafkaPort }),
    ...(redisPort !== undefined && { redisPort }),
  }
  const verb = VERBS.find((one) => one === positionals[0])
  if (!verb) {
    const given =
      positionals[0] === undefined ? 'say' : `${JSON.stringify(positionals[0])} is not one of`
    throw new UsageError(`${given} up, down or status; see --help`)
  }
  const json = values.json ?? false
  if (verb === 'status') return await status(options, json)
  // Two at once would start two servers on one directory.
  const work = verb === 'up' ? up : down
  return await withLock(`${options.dir}.lock`, () => work(options, json)).finally(() =>
    options.log.end(),
  )
}

async function up(options: FindOptions, json: boolean): Promise<number> {
  const { kafka, redis } = await findServices(options)
  for (const found of [kafka, redis]) options.log.line(told(found))
  return json ? status(options, json) : 0
}

function told({ name, address, source, server }: Found): string {
  const pid = server ? ` (pid ${server.pid}, log ${server.logFile})` : ''
  return `${label(name)} ${address} ${source}${pid}`
}

async function down({ dir, log }: FindOptions, json: boolean): Promise<number> {
  const services: { name: string; stopped: boolean }[] = []
  for (const name of NAMES) {
    const record = readRecord(dir, name)
    if (record?.by === 'process') await endProcess(record)
    if (record?.by === 'compose') await composeStop([name], log)
    forget(dir, name)
    services.push({ name, stopped: record !== undefined })
    log.line(
      `${label(name)} ${record ? 'stopped' : 'nothing to stop: not started by "services up"'}`,
    )
  }
  if (json) print(JSON.stringify({ services }, null, 2))
  return 0
}

interface ServiceStatus {
  name: (typeof NAMES)[number]
  /** host:port, without credentials. */
  address: string
  answers: boolean
  /** What of the environment names it; null for nothing. */
  variable: Search['variable'] | null
  /** Of the process that "up" started; null where it did not. */
  pid: number | null
}

async function status(options: FindOptions, json: boolean): Promise<number> {
  const services = await Promise.all(
    [kafkaSearch(options), redisSearch(options)].map((search) => statusOf(search, options.dir)),
  )
  if (json) print(JSON.stringify({ services }, null, 2))
  else for (const service of services) print(statusText(service))
  return services.every(({ answers }) => answers) ? 0 : 1
}

async function statusOf(search: Search, dir: string): Promise<ServiceStatus> {
  const { name, named, variable } = search
  const record = readRecord(dir, name)
  const port = search.portGiven ? search.port : (record?.port ?? search.port)
  const isOurs = !named && record?.port === port && record.by === 'process'
  return {
    name,
    address: named?.address ?? `127.0.0.1:${port}`,
    answers: await (named?.answers() ?? search.answersOn(port)),
    variable: named ? variable : null,
    pid: isOurs ? record.pid : null,
  }
}

function statusText({ name, address, answers, variable, pid }: ServiceStatus): string {
  const state = answers ? 'answers' : 'does not answer'
  const by = pid === null ? '' : `, started here (pid ${pid})`
  return `${label(name)} ${address} ${state}${by}${variable === null ? '' : ` (${variable})`}`
}

function label(name: (typeof NAMES)[number]): string {
  return name === 'kafka' ? 'Kafka' : 'Redis'
}

await runMain('services', main)
