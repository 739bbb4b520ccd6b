/**
 * Every setting and every bound, read from the environment once and checked at start.
 * A value that can't be used is named in one line with what is allowed.
 */
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { isPageUrl } from './binding.ts'
import { parseDuration } from './duration.ts'
import { UsageError } from './errors.ts'
import { addressText, parseRedisUrl, redisUrlForms } from './redis-address.ts'
import { type QuotaName, quotaRange } from './quota.ts'
import { shardsRange } from './shards.ts'

/** Bounds that are not the user's to set; names end in what they bound and in which unit. */
export const bounds = {
  /** Payload bytes that one stream entry aims at; a single larger record batch still goes whole. */
  entryBytes: 256 * 1024,
  /** A record batch from this size on is compressed for its way, where its producer did not. */
  compressBytesMin: 8 * 1024,
  /** What a batch may unpack to: far beyond 1 MB, which Kafka takes unless it is told otherwise. */
  unpackedBytesMax: 256 * 1024 * 1024,
  /** A payload over this lies beside the stream; one that was not appended expires. */
  inlineBytesMax: 4 * 1024,
  payloadExpiryMs: 60_000,
  /** Records of one stream entry at the most. */
  entryRecordsMax: 16_384,
  /** Work that one entry should hold, so that executors share a backlog of costly records. */
  entryWorkMs: 50,
  /** The stream's high-water marks: beyond either the bridge stops fetching; it resumes at half. */
  streamRecordsMax: 1_000_000,
  streamBytesMax: 48 * 1024 * 1024,
  /** Bytes of one Kafka fetch, over all partitions and for one. */
  fetchBytesMax: 4 * 1024 * 1024,
  fetchPartitionBytesMax: 1024 * 1024,
  /** A fetch waits this long at Kafka for the first record. */
  fetchWaitMs: 1_000,
  /** Work between two commits of an executor. */
  commitWorkMs: 50,
  /** What one commit may carry, so that it stays under 10 ms in Redis. */
  commitGroupsMax: 500,
  commitRejectsMax: 200,
  commitEntriesMax: 32,
  /** Work that an executor may hold in read-ahead. */
  readAheadMs: 100,
  readAheadEntriesMax: 32,
  readAheadBytesMax: 8 * 1024 * 1024,
  /** How long a blocking read waits before the executor looks for orphaned entries. */
  readBlockMs: 1_000,
  /** How long one that is warm waits at its mailbox at once: each wake costs, and nothing is due. */
  warmBlockMs: 10_000,
  /** Groups of one pane; a record that would make one more is rejected with the reason `groups`. */
  groupsMax: 100_000,
  /** UTF-8 bytes of one group key. */
  groupKeyBytesMax: 4_096,
  /** Rows that `flatMap` may make of one record. */
  rowsMax: 1_000,
  rejectsKept: 10_000,
  rejectValueBytesMax: 1_024,
  verdictsKept: 100_000,
  lossesKept: 10_000,
  closedEntriesKept: 10_000,
  /** Fewer entries are kept where they are so large that they would be more than this. */
  closedBytesKept: 256 * 1024 * 1024,
  /** As many stay for a sink that is behind; what it has not taken by then is lost to it, and told. */
  closedEntriesHeld: 50_000,
  /** A process that has said nothing for so long no longer writes to a sink. */
  sinkLeaseMs: 5_000,
  /** Groups that one call of the close function handles. */
  closeGroupsMax: 250,
  /** Of one entry of windows that are joined of several shards, and by one group more. */
  joinEntryBytes: 128 * 1024,
  /** Of groups' states that are held while they are joined, and entries that are read at once for that. */
  joinHeldBytes: 64 * 1024 * 1024,
  joinPageEntries: 16,
  decisionsKept: 1_000,
  /** Measurements for a back-test: one a second for a day; seldom while nothing happens. */
  measurementsKept: 86_400,
  measureEveryMs: 1_000,
  measureSilentEveryMs: 60_000,
  /** A partition is idle when it is at Kafka's end, finished, and brought nothing for this long. */
  idleAfterMs: 30_000,
  /** An actor without a heartbeat for this long is dead, its entries another's. */
  leaseMs: 3_000,
  heartbeatMs: 1_000,
  leaderLeaseMs: 3_000,
  /** Executors that a job has reserved of those that all jobs share are others' when it was silent for so long. */
  poolLeaseMs: 8_000,
  /**
   * Who has work takes a step within its job's `workTimeout` and this, for which a supervisor waits: longer
   * than a Redis command can take before it is given up, which is a step.
   */
  hungMarginMs: 15_000,
  /** A drain that takes longer than this is ended with SIGKILL. */
  drainGraceMs: 10_000,
  /** Reply time of a Redis command, after which its outcome is unknown. */
  redisCommandTimeoutMs: 5_000,
  /**
   * A connection that brings nothing for so long while an answer is due is given up: what a router or a
   * machine that vanished leaves behind never ends by itself. Beside what the answer may wait for.
   */
  redisSilenceMs: 3_000,
  kafkaSilenceMs: 4_000,
  redisRetryCapMs: 1_000,
  kafkaRetryCapMs: 2_000,
  /** Spans that wait to be exported; what does not fit is left out. */
  traceSpansMax: 2_048,
  deadActorsKept: 20,
  deadActorsKeptMs: 10 * 60_000,
} as const

const wholeNumber = (name: string, from: number, to: number) =>
  v.pipe(
    v.string(),
    v.regex(/^\d+$/, `${name} must be a whole number from ${from} to ${to}`),
    v.transform(Number),
    v.minValue(from, `${name} must be a whole number from ${from} to ${to}`),
    v.maxValue(to, `${name} must be a whole number from ${from} to ${to}`),
  )

const quotaNumber = (name: string, quota: QuotaName) =>
  wholeNumber(name, quotaRange[quota].from, quotaRange[quota].to)

const flag = (name: string) =>
  v.pipe(
    v.picklist(['', '0', '1', 'true', 'false'], `${name} must be true or false`),
    v.transform((text) => text === '1' || text === 'true'),
  )

/** Executors that a job may have at the most. */
export const executorsRange = { from: 0, to: 64 }

/** Executor processes that wait beside those at work. */
export const warmRange = { from: 0, to: 4 }

/** How old a result may be: below, nobody could keep it; above, nothing would ever be scaled. */
export const resultDelayRange = { fromMs: 100, toMs: 3_600_000 }

const resultDelay = (name: string) => {
  const message = `${name} must be a duration from 100 ms to 1 h, such as 2s`
  const { fromMs, toMs } = resultDelayRange
  return v.pipe(
    v.string(),
    v.transform((text) => parseDuration(text) ?? Number.NaN),
    v.check((ms) => ms >= fromMs && ms <= toMs, message),
  )
}

const ownRedisUrl = (name: string) =>
  v.optional(
    v.pipe(
      v.string(),
      v.check((text) => parseRedisUrl(text) !== null, `${name} must be what REDIS_URL may be`),
    ),
  )

/** The path of a file that holds what TLS needs, in PEM. */
const pemFile = (name: string, kind: RegExp) =>
  v.optional(
    v.pipe(
      v.string(),
      v.check((path) => kind.test(textOf(path)), `${name} must be the path of a file in PEM`),
    ),
  )

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const environmentSchema = v.object({
  KAFKA_BROKERS: v.pipe(
    v.optional(v.string(), '127.0.0.1:9092'),
    v.transform((text) => text.split(',').map((broker) => broker.trim())),
    v.array(
      v.pipe(
        v.string(),
        v.regex(/^[^\s:]+:\d{1,5}$/, 'KAFKA_BROKERS must be host:port[,host:port]'),
      ),
    ),
  ),
  KAFKA_SSL: v.optional(flag('KAFKA_SSL'), ''),
  KAFKA_SASL_MECHANISM: v.optional(
    v.picklist(
      ['plain', 'scram-sha-256', 'scram-sha-512'],
      'KAFKA_SASL_MECHANISM must be plain, scram-sha-256 or scram-sha-512',
    ),
  ),
  KAFKA_SASL_USERNAME: v.optional(v.string()),
  KAFKA_SASL_PASSWORD: v.optional(v.string()),
  REDIS_URL: v.pipe(
    v.optional(v.string(), 'redis://127.0.0.1:6379'),
    v.check((text) => parseRedisUrl(text) !== null, `REDIS_URL must be ${redisUrlForms}`),
  ),
  /** What a supervisor's children get for REDIS_URL, where they have logins of their own. */
  REDIS_URL_BRIDGE: ownRedisUrl('REDIS_URL_BRIDGE'),
  REDIS_URL_EXECUTOR: ownRedisUrl('REDIS_URL_EXECUTOR'),
  REDIS_URL_WEB: ownRedisUrl('REDIS_URL_WEB'),
  REDIS_URL_SINKS: ownRedisUrl('REDIS_URL_SINKS'),
  /** How many shards a job has that begins (shards.ts). */
  REDIS_SHARDS: v.optional(wholeNumber('REDIS_SHARDS', shardsRange.from, shardsRange.to)),
  /** Who signed Redis's certificate, where the system does not know it; our own certificate and its key. */
  REDIS_CA: pemFile('REDIS_CA', /BEGIN (TRUSTED )?CERTIFICATE/),
  REDIS_CERT: pemFile('REDIS_CERT', /BEGIN CERTIFICATE/),
  REDIS_KEY: pemFile('REDIS_KEY', /BEGIN [A-Z ]*PRIVATE KEY/),
  /** Of the Sentinels, which have users of their own. */
  REDIS_SENTINEL_USERNAME: v.optional(v.string()),
  REDIS_SENTINEL_PASSWORD: v.optional(v.string()),
  HOST: v.optional(v.string(), '127.0.0.1'),
  PORT: v.optional(wholeNumber('PORT', 0, 65_535), '8080'),
  EXECUTORS_MIN: v.optional(
    wholeNumber('EXECUTORS_MIN', executorsRange.from, executorsRange.to),
    '0',
  ),
  EXECUTORS_MAX: v.optional(
    wholeNumber('EXECUTORS_MAX', executorsRange.from, executorsRange.to),
    '4',
  ),
  /** Executors on this machine, of a job that runs on several; as many as the job may have by default. */
  EXECUTORS_HERE: v.optional(wholeNumber('EXECUTORS_HERE', executorsRange.from, executorsRange.to)),
  /** Executors of all jobs on this Redis together; without it each job has its own. */
  MILLRACE_EXECUTORS_TOTAL: v.optional(wholeNumber('MILLRACE_EXECUTORS_TOTAL', 1, 4_096)),
  /** A job's part of them beside the others'. */
  MILLRACE_EXECUTORS_WEIGHT: v.optional(wholeNumber('MILLRACE_EXECUTORS_WEIGHT', 1, 100), '1'),
  MAX_RESULT_DELAY: v.optional(resultDelay('MAX_RESULT_DELAY'), '2s'),
  /** How many records a second a job may read, and what it may have of Redis's memory; 0 for no bound. */
  QUOTA_RECORDS_PER_SECOND: v.optional(
    quotaNumber('QUOTA_RECORDS_PER_SECOND', 'recordsPerSecond'),
    '0',
  ),
  QUOTA_MEMORY_MIB: v.optional(quotaNumber('QUOTA_MEMORY_MIB', 'memoryMib'), '0'),
  EXECUTORS_WARM: v.optional(wholeNumber('EXECUTORS_WARM', warmRange.from, warmRange.to), '0'),
  /** Who starts executors (supervisor/options.ts), and from which pod template where pods are. */
  MILLRACE_FLEET: v.optional(
    v.picklist(
      ['processes', 'kubernetes', 'elsewhere'],
      'MILLRACE_FLEET must be processes, kubernetes or elsewhere',
    ),
    'processes',
  ),
  MILLRACE_POD_TEMPLATE: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
        'MILLRACE_POD_TEMPLATE must be the name of a pod template',
      ),
    ),
  ),
  START_FROM: v.optional(
    v.picklist(['latest', 'earliest'], 'START_FROM must be latest or earliest'),
    'latest',
  ),
  MILLRACE_TOKEN: v.optional(
    v.pipe(v.string(), v.minLength(8, 'MILLRACE_TOKEN must have at least 8 characters')),
  ),
  MILLRACE_PRICE_PER_EXECUTOR_HOUR: v.pipe(
    v.optional(v.string(), '0.05'),
    v.regex(/^\d+(\.\d+)?$/, 'MILLRACE_PRICE_PER_EXECUTOR_HOUR must be a price such as 0.05'),
    v.transform(Number),
  ),
  /** A process that the supervisor starts is ended when it uses more memory than this. */
  EXECUTOR_MEMORY_MAX_MIB: v.optional(
    wholeNumber('EXECUTOR_MEMORY_MAX_MIB', 128, 1_048_576),
    '2048',
  ),
  /** From a supervisor to its executors: the file of executor/hand.ts. */
  MILLRACE_HAND: v.optional(v.string()),
  /** The same of the job's code, by its hash. */
  MILLRACE_CODE: v.optional(v.string()),
  /** The same to all of its children: the code's files as they were (code.ts). */
  MILLRACE_CODE_FILES: v.optional(v.string()),
  /** The same to all of its children: whose they are. */
  MILLRACE_SUPERVISOR: v.optional(v.string()),
  /** What this machine is called among the hosts of a job; its own name by default. */
  MILLRACE_HOST: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        /^[\w.-]{1,253}$/,
        'MILLRACE_HOST must be a name of letters, digits, dots and hyphens',
      ),
    ),
  ),
  /** By which address people reach the page, where that is not HOST and PORT: a proxy's, say. */
  MILLRACE_PAGE_URL: v.optional(
    v.pipe(
      v.string(),
      v.check(isPageUrl, 'MILLRACE_PAGE_URL must be http://host/ or https://host/'),
    ),
  ),
  LOG_LEVEL: v.optional(
    v.picklist(['debug', 'info', 'warn', 'error'], 'LOG_LEVEL must be debug, info, warn or error'),
    'info',
  ),
  /** How log lines look; by default text on a terminal, else JSON. */
  LOG_FORMAT: v.optional(v.picklist(['text', 'json'], 'LOG_FORMAT must be text or json')),
})

export type Config = v.InferOutput<typeof environmentSchema>

/**
 * Reads the environment; an empty value counts as absent.
 * @throws UsageError that names the variable and what is allowed
 */
export function readConfig(environment: Record<string, string | undefined> = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = v.safeParse(environmentSchema, given)
  if (!parsed.success) throw new UsageError(parsed.issues[0].message)
  const config = parsed.output
  if (config.EXECUTORS_MIN > config.EXECUTORS_MAX) {
    throw new UsageError('EXECUTORS_MIN must not be greater than EXECUTORS_MAX')
  }
  if (config.KAFKA_SASL_MECHANISM && !(config.KAFKA_SASL_USERNAME && config.KAFKA_SASL_PASSWORD)) {
    throw new UsageError(
      'KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD beside it',
    )
  }
  checkTls(config)
  return config
}

/** Who names a certificate believes that it is looked at. */
function checkTls({ REDIS_URL, REDIS_CA, REDIS_CERT, REDIS_KEY }: Config): void {
  if ((REDIS_CERT === undefined) !== (REDIS_KEY === undefined)) {
    throw new UsageError('REDIS_CERT and REDIS_KEY must be given together')
  }
  if ((REDIS_CA ?? REDIS_CERT) !== undefined && !REDIS_URL.startsWith('rediss')) {
    const name = REDIS_CA === undefined ? 'REDIS_CERT' : 'REDIS_CA'
    throw new UsageError(`${name} needs a REDIS_URL that begins with rediss, which is TLS`)
  }
}

/** REDIS_URL without its credentials, for messages. */
export function redisAddress({ REDIS_URL }: Pick<Config, 'REDIS_URL'>): string {
  const address = parseRedisUrl(REDIS_URL)
  return address ? addressText(address) : 'REDIS_URL'
}

/** What to do about a Redis that does not answer. Nothing of ours starts a cluster or Sentinels. */
export function redisHint({ REDIS_URL }: Pick<Config, 'REDIS_URL'>): string {
  const kind = parseRedisUrl(REDIS_URL)?.kind ?? 'server'
  return kind === 'server'
    ? 'is it running? bun run services up'
    : 'bun run doctor says which of its servers is away'
}
