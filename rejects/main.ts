/** `bun run rejects`: looks at records that were not counted, replays them, or drops them. */
import { systemClock } from '../actors/clock.ts'
import { type Config, readConfig } from '../actors/config.ts'
import { messageOf, RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { rejectReasons } from '../actors/executor/reasons.ts'
import { choiceFlag, parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import type { Job } from '../actors/job.ts'
import { RawKafka } from '../actors/kafka.ts'
import { kafkaAddress, kafkaClient, isKafkaOutage, kafkaMessage } from '../actors/kafka-client.ts'
import type { Keys } from '../actors/keys.ts'
import { loadJob, SHIPPED_JOB } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { isOutage, openStore, type Store, untilReady } from '../actors/redis.ts'
import { heldKeys } from '../actors/shards.ts'
import { askedOf, knownTopics, type TopicInfo } from '../actors/topics.ts'
import { redisAddress } from '../actors/config.ts'
import { print } from '../actors/output.ts'
import { type Fenced, openFence } from './fence.ts'
import { change } from './marks.ts'
import { Originals } from './originals.ts'
import { outcomeReport, outcomeText, reportOf, tableOf } from './print.ts'
import { type Choice, forgetOld, placeOf, readRejects, type Reject, states } from './rejects.ts'
import { replay } from './replay.ts'

const command = {
  help: `
bun run rejects list|replay|drop [jobs/file.ts] [options]

Records that were rejected or late, of the job (${SHIPPED_JOB} by default). Where it was changed so
that it takes them now, restart it first.

  list               shows them, newest first
  replay             produces the chosen ones to their topic again, each once, with key, headers and
                     time: they go through the job under new offsets, and one that is rejected
                     again is a new reject
  drop               marks the chosen ones as done with

  --reason REASON    those rejected for it: ${Object.keys(rejectReasons).join(', ')}
  --topic NAME       those of a topic
  --partition N      those of a partition
  --since TIME       those rejected since then: ISO 8601, or epoch milliseconds
  --offset P:O       this one, by partition and offset (TOPIC:P:O of several); may be given again
  --id ID            this one, by its id (list --json); may be given again
  --all              all of them (replay and drop)
  --state STATE      list: ${states.join(', ')}
  --limit N          list: at most so many (50)
  --json             as JSON; replay: a line for each, and one of the counts
  --force            replay: late ones too, which will mostly be late again
  --yes              drop: without being asked
  --help             this text

replay needs Kafka's right to write the topic in a transaction (id millrace-JOB-replay). Killed in the
middle or run twice at once, it still replays each once: run it again to finish. In a compacted topic
a replayed record becomes the newest of its key.
Exit code: 0 when every chosen one is done with, 1 when some were kept, 2 for a mistake in the command.

Environment: KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_*, REDIS_URL, LOG_LEVEL
`,
  options: {
    reason: { type: 'string', choices: Object.values(rejectReasons) },
    topic: { type: 'string' },
    partition: { type: 'string' },
    since: { type: 'string' },
    offset: { type: 'string', multiple: true },
    id: { type: 'string', multiple: true },
    all: { type: 'boolean' },
    state: { type: 'string', choices: states },
    limit: { type: 'string' },
    json: { type: 'boolean' },
    force: { type: 'boolean' },
    yes: { type: 'boolean' },
  },
  positionals: ['list|replay|drop', 'jobs/file.ts'],
} as const

const LIST_ROWS = 50
/** Redis and Kafka have this long to answer before the command says that they don't. */
const ANSWER_MS = 5_000
/** Marks that one call changes. */
const DROP_TOGETHER = 500

const actions = ['list', 'replay', 'drop'] as const
type Action = (typeof actions)[number]

interface Asked {
  action: Action
  file: string
  choice: Choice
  limit: number
  json: boolean
  force: boolean
  yes: boolean
}

interface Place {
  job: Job
  keys: Keys
  store: Store
  config: Config
}

async function main(): Promise<number> {
  const asked = readAsked()
  const config = readConfig()
  const job = await loadJob(asked.file)
  const store = openStore(
    config,
    createLog('rejects', 'error', () => {}),
  )
  try {
    await untilReady(store, AbortSignal.timeout(ANSWER_MS))
    await store.redis.ping()
    const keys = await heldKeys(store, job.name)
    return await run(asked, { job, keys, store, config })
  } catch (error) {
    if (!isOutage(error)) throw error
    const address = redisAddress(config)
    throw new RefusalError(`Redis at ${address} does not answer (${messageOf(error)})`, {
      cause: error,
    })
  } finally {
    await store.close()
  }
}

function run(asked: Asked, place: Place): Promise<number> {
  switch (asked.action) {
    case 'list':
      return list(asked, place)
    case 'replay':
      return replayChosen(asked, place)
    case 'drop':
      return drop(asked, place)
    default:
      return asked.action satisfies never
  }
}

async function list({ choice, limit, json }: Asked, { store, keys, job }: Place): Promise<number> {
  const rejects = await readRejects(store, keys, choice, limit)
  if (json) print(JSON.stringify(rejects.map(reportOf), null, 2))
  else if (rejects.length === 0) print(`no such rejects of job ${job.name}`)
  else print(tableOf(rejects))
  return 0
}

async function drop(asked: Asked, { store, keys }: Place): Promise<number> {
  const rejects = await readRejects(store, keys, asked.choice)
  const open = rejects.filter(({ mark }) => mark === null)
  const begun = rejects.filter(({ mark }) => mark?.state === 'replaying').length
  if (open.length > 0 && !asked.yes && !confirmed(open.length)) return 1
  let dropped = 0
  for (let i = 0; i < open.length; i += DROP_TOGETHER) {
    const to = { state: 'dropped', at: systemClock.now() } as const
    const some = open.slice(i, i + DROP_TOGETHER)
    const changes = some.map((reject) => ({ place: placeOf(reject), from: null, to }))
    dropped += (await change(store, keys, changes)).filter(Boolean).length
  }
  await forgetOld(store, keys)
  const kept = open.length - dropped + begun
  const before = rejects.length - open.length - begun
  const kepts = kept > 0 ? `, kept ${kept}: a replay of them was begun, see to it first` : ''
  const text = `dropped ${dropped}${before > 0 ? `, ${before} were done with before` : ''}${kepts}`
  print(asked.json ? JSON.stringify({ dropped, doneBefore: before, kept }) : text)
  return kept > 0 ? 1 : 0
}

function confirmed(count: number): boolean {
  if (!process.stdin.isTTY) {
    throw new UsageError(`drop would mark ${count} rejects as done with; say --yes`)
  }
  return confirm(`Mark ${count} rejects as done with?`)
}

async function replayChosen(asked: Asked, place: Place): Promise<number> {
  const { job, keys, store, config } = place
  const kafka = kafkaClient(config, 'millrace-rejects')
  const raw = new RawKafka(kafka, askedOf(job))
  let fenced: Fenced | null = null
  try {
    const topics = await topicsOf(place, await raw.connect())
    raw.assign(topics)
    fenced = await openFence(kafka, job.name, topics, systemClock)
    // Only now: what others had begun is settled by whoever shuts them out.
    const rejects = await readRejects(store, keys, asked.choice)
    const originals = new Originals(raw, new Set(topics.map(({ index }) => index)))
    const find = (reject: Reject) => originals.find(reject)
    const parts = { job: job.name, store, keys, clock: systemClock, fenced, find }
    const counts = { replayed: 0, 'done before': 0, kept: 0 }
    for await (const outcome of replay({ ...parts, force: asked.force }, rejects)) {
      counts[outcome.kind]++
      print(asked.json ? JSON.stringify(outcomeReport(outcome)) : outcomeText(outcome))
    }
    await forgetOld(store, keys)
    const { replayed, kept } = counts
    const before = counts['done before']
    const text = `replayed ${replayed}, done before ${before}, kept ${kept}`
    print(asked.json ? JSON.stringify({ replayed, doneBefore: before, kept }) : text)
    return kept > 0 ? 1 : 0
  } catch (error) {
    if (!isKafkaOutage(error)) throw error
    const address = kafkaAddress(config)
    throw new RefusalError(
      `Kafka at ${address} does not answer (${kafkaMessage(error)}); run this again to finish`,
      { cause: error },
    )
  } finally {
    await fenced?.close().catch(() => {})
    await raw.close().catch(() => {})
  }
}

/** Those that Kafka has, by their indexes. The offsets of rejects belong to topics that the job has read. */
async function topicsOf({ job, store, keys }: Place, found: readonly TopicInfo[]) {
  if (found.length === 0) throw new RefusalError(`topic ${job.topic} does not exist`)
  const ledger = await store.redis.hgetall(keys.ledger)
  const named = knownTopics(ledger)
  const first = { name: found[0]!.name, id: ledger.topicId ?? '', left: false }
  const known = named.length > 0 ? named : [first]
  return found.flatMap(({ name, id }) => {
    const index = known.findIndex((topic) => topic.name === name)
    if (index < 0) return []
    if (id === '' || known[index]!.id === '' || id === known[index]!.id) return [{ name, index }]
    throw new RefusalError(
      `topic ${name} was deleted and made again: it does not hold the records that were rejected`,
    )
  })
}

function readAsked(): Asked {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const action = actions.find((one) => one === positionals[0])
  if (!action) throw new UsageError('say what to do: list, replay or drop; see --help')
  const given = positionals[0] === action ? positionals.slice(1) : []
  const range = { from: 0, to: 2 ** 31 - 1 }
  const choice: Choice = {
    reason: choiceFlag('reason', values.reason, Object.values(rejectReasons)),
    topic: values.topic,
    partition: wholeNumberFlag('partition', values.partition, range),
    since: sinceOf(values.since),
    places: values.offset && new Set(values.offset.map(placeFlag)),
    ids: values.id && new Set(values.id.map(idFlag)),
    state: choiceFlag('state', values.state, states),
  }
  const asked = {
    action,
    file: given[0] ?? SHIPPED_JOB,
    choice,
    limit: wholeNumberFlag('limit', values.limit, { from: 1, to: 100_000 }) ?? LIST_ROWS,
    json: values.json ?? false,
    force: values.force ?? false,
    yes: values.yes ?? false,
  }
  refuseMisplaced(action, values)
  return asked
}

/** Flags of another action, and an action on everything that nobody asked for. */
function refuseMisplaced(action: Action, values: Record<string, unknown>): void {
  const only: Record<string, readonly Action[]> = {
    all: ['replay', 'drop'],
    state: ['list'],
    limit: ['list'],
    force: ['replay'],
    yes: ['drop'],
  }
  for (const [flag, allowed] of Object.entries(only)) {
    if (values[flag] === undefined || allowed.includes(action)) continue
    throw new UsageError(`--${flag} is for ${allowed.join(' and ')}, not for ${action}`)
  }
  const choosers = ['reason', 'topic', 'partition', 'since', 'offset', 'id', 'all']
  if (action === 'list' || choosers.some((flag) => values[flag] !== undefined)) return
  throw new UsageError(
    `${action} needs to know which: --reason, --topic, --partition, --since, --offset, --id or --all`,
  )
}

function placeFlag(text: string): string {
  const match = /^([\w.-]{1,249}:)?(\d{1,9}):(\d{1,16})$/.exec(text)
  if (match) return `${match[1] ?? ''}${Number(match[2])}:${Number(match[3])}`
  throw new UsageError(
    `--offset must be partition:offset such as 0:17, or topic:partition:offset, not ${JSON.stringify(text)}`,
  )
}

function idFlag(text: string): string {
  if (/^\d{1,16}-\d{1,16}$/.test(text)) return text
  throw new UsageError(`--id must be as list --json shows it, not ${JSON.stringify(text)}`)
}

const iso = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/

function sinceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d{1,15}$/.test(text) ? Number(text) : iso.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(ms)) return ms
  throw new UsageError(
    `--since must be ISO 8601 such as 2026-01-31T12:00:00Z, or epoch milliseconds, not ${JSON.stringify(text)}`,
  )
}

await runMain('rejects', main)
