/**
 * Judges a Redis: its facts in, findings out. Pure, so that every verdict is a test without a server.
 *
 * `judgeInfo` needs INFO alone, which every server tells within a millisecond: the supervisor starts
 * by it, and looks again after each reconnect, because another server may have taken the address.
 */
import { bounds } from '../actors/config.ts'
import type { RedisAddress } from '../actors/redis-address.ts'
import { away, fatal, type Finding, hint, ok, warning } from './finding.ts'
import { judgeReplication } from './replication.ts'

/** Fields of INFO by their names. */
export type Info = Readonly<Record<string, string>>

/** What REDIS_URL says there is. */
export type RedisKind = RedisAddress['kind']

export interface RedisFacts {
  kind: RedisKind
  /** Host and port, for messages; of a cluster those of the master that holds the job's slot. */
  address: string
  info: Info
  /** The other masters of a cluster. */
  others: { address: string; info: Info }[]
  /** What CONFIG GET tells; null where it is not allowed, as on most hosted servers. */
  settings: Readonly<Record<string, string>> | null
  /** Round trip of a PING, the median of a few. */
  pingMs: number
  /** Redis's clock minus ours, as exact as half a round trip. */
  skewMs: number
  /** What a call of one of our functions that reads, and of one that may write, fails with. */
  reading: string | null
  writing: string | null
  /** Payload bytes that wait in the job's stream already. */
  waitingBytes: number
  /** Which of the job's shards each master serves; those that serve none are among them. */
  shards: { address: string; shards: number[] }[]
  /** Of the job's shards those that do not answer, and what a call of each fails with. */
  away: { shard: number; error: string }[]
  executorsMax: number
}

const MIB = 1024 * 1024
/** What the bounded parts of a job can take: the stream with what lies around it, rejects, verdicts. */
const neededBytes =
  1.25 * bounds.streamBytesMax +
  bounds.rejectsKept * (bounds.rejectValueBytesMax + 256) +
  bounds.verdictsKept * 64
/** One reply may carry what an executor reads ahead, and beyond it one large record batch. */
const replyBytes = 2 * bounds.readAheadBytesMax

/** Everything about a Redis that answers. */
export function judgeRedis(facts: RedisFacts): Finding[] {
  const { kind, address, info, others } = facts
  const server = judgeServers([{ address, info }, ...others], kind)
  // What is wrong there makes the calls fail too; its cause is named already.
  const named = server.some(({ level }) => level === 'fatal')
  return [
    ...server,
    ...(named ? [] : judgeCalls(facts)),
    judgeHeadroom(facts),
    judgeLink(facts),
    judgeClock(facts),
    ...judgeSettings(facts),
    ...judgeReplication(facts),
  ]
}

/** What INFO tells of each; what they have in common is said once. */
export function judgeServers(
  servers: readonly { address: string; info: Info }[],
  kind: RedisKind,
): Finding[] {
  const findings = servers.flatMap(({ address, info }) => judgeInfo(info, address, kind))
  return findings.filter(
    ({ what, found }, i) =>
      findings.findIndex((one) => one.what === what && one.found === found) === i,
  )
}

/** What INFO tells: version, role, policy, persistence. */
export function judgeInfo(info: Info, address: string, kind: RedisKind = 'server'): Finding[] {
  return [
    judgeVersion(info, address),
    ...judgeRole(info, address, kind),
    judgePolicy(info, address),
    judgePersistence(info, address),
    ...judgeLastWrite(info, address),
  ]
}

function judgeVersion(info: Info, address: string): Finding {
  const what = 'Redis version'
  const valkey = info.valkey_version
  const version = valkey ?? info.redis_version
  if (version === undefined) {
    return fatal(
      what,
      `Redis at ${address} tells no version`,
      'use Redis 7.0 or Valkey 7.2, or newer',
    )
  }
  const name = `${valkey ? 'Valkey' : 'Redis'} ${version}`
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const enough = valkey ? major > 7 || (major === 7 && minor >= 2) : major >= 7
  if (enough) return ok(what, `${name} at ${address}`)
  const least = valkey ? 'Valkey 7.2' : 'Redis 7.0'
  return fatal(what, `Redis at ${address} is ${name}`, `${least} or newer is needed`)
}

function judgeRole(info: Info, address: string, kind: RedisKind): Finding[] {
  const what = 'Redis role'
  if (info.redis_mode === 'sentinel') {
    const found = `${address} is a Sentinel, not a Redis`
    const todo = `set REDIS_URL to redis+sentinel://${address}/NAME, the name of the master that it watches`
    return [fatal(what, found, todo)]
  }
  if (info.loading === '1') {
    return [away(what, `Redis at ${address} is loading its data`, 'wait until it is done')]
  }
  if (info.role === 'slave' || info.role === 'replica') {
    const master = `${info.master_host ?? '?'}:${info.master_port ?? '?'}`
    const found = `Redis at ${address} is a replica of ${master} and takes no writes`
    return [fatal(what, found, 'set REDIS_URL to the master')]
  }
  const inCluster = info.cluster_enabled === '1'
  if (kind === 'cluster' && inCluster) return [ok(what, `${address} is a master of a cluster`)]
  if (!inCluster) return []
  const found = `Redis at ${address} is a node of a cluster`
  const todo = `set REDIS_URL to redis+cluster://${address}, so that other nodes are found too`
  return [fatal(what, found, todo)]
}

function judgePolicy(info: Info, address: string): Finding {
  const what = 'maxmemory-policy'
  const policy = info.maxmemory_policy
  if (policy === undefined) {
    const todo = 'make sure that it is noeviction: anything else would drop windows'
    return warning(what, `Redis at ${address} tells no maxmemory-policy`, todo)
  }
  if (policy === 'noeviction') return ok(what, policy)
  return fatal(
    what,
    `Redis at ${address} has maxmemory-policy ${policy}, which would drop windows`,
    'set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in its configuration file)',
  )
}

function judgePersistence(info: Info, address: string): Finding {
  const what = 'append-only file'
  if (info.aof_enabled === '1') return ok(what, 'on')
  const found = `Redis at ${address} keeps no append-only file: a crash of it loses what its last snapshot lacks`
  return warning(what, found, 'set appendonly yes (and CONFIG SET appendonly yes)')
}

/** A disk that is full or broken: Redis refuses writes until it can save again. */
function judgeLastWrite(info: Info, address: string): Finding[] {
  const broken = [
    ...(info.aof_last_write_status === 'err' ? ['write to its append-only file'] : []),
    ...(info.rdb_last_bgsave_status === 'err' ? ['save its snapshot'] : []),
  ]
  if (broken.length === 0) return []
  const found = `Redis at ${address} could not ${broken.join(' or ')} and may refuse writes`
  return [warning('Redis disk', found, 'look at its log and at the space on its disk')]
}

function judgeCalls({ address, reading, writing, info }: RedisFacts): Finding[] {
  const error = reading ?? writing
  if (error === null) return [ok('functions', 'loaded; reading and writing calls are allowed')]
  return [judgeCall(address, error, info)]
}

/** What a failing call of our functions means. */
export function judgeCall(address: string, error: string, info: Info = {}): Finding {
  const what = 'functions'
  const found = `our functions fail at Redis ${address}: ${error}`
  if (/\bNOPERM\b|no permissions|insufficient permissions/i.test(error)) {
    const todo =
      'allow the user FCALL, FUNCTION LOAD, INFO, and all commands on the keys millrace:* (ACL SETUSER), or what its role needs by deploy/redis/users.acl'
    return fatal(what, found, todo)
  }
  if (/^(NOAUTH|WRONGPASS)/.test(error)) {
    return fatal(what, found, 'put user and password into REDIS_URL')
  }
  if (/^(MOVED|CROSSSLOT|CLUSTERDOWN)/.test(error)) {
    const todo = `set REDIS_URL to redis+cluster://${address}, so that other nodes are found too`
    return fatal(what, found, todo)
  }
  if (/Function not found/i.test(error)) {
    const todo = 'start the supervisor, which loads them, or allow the user FUNCTION LOAD'
    return away(what, found, todo)
  }
  if (/unknown command/i.test(error)) {
    return fatal(what, found, 'use Redis 7.0 or Valkey 7.2, or newer, with FUNCTION not renamed')
  }
  if (error.startsWith('READONLY')) return fatal(what, found, 'set REDIS_URL to the master')
  if (error.startsWith('OOM')) {
    const limit = info.maxmemory_human ? ` (${info.maxmemory_human} now)` : ''
    return away(what, found, `raise maxmemory${limit} or free memory`)
  }
  if (/^(MISCONF|NOREPLICAS|LOADING|BUSY|MASTERDOWN|TRYAGAIN)/.test(error)) {
    return away(what, found, 'look at Redis’s log; a job waits until it takes writes again')
  }
  return fatal(what, found, 'look at Redis’s log')
}

/** What may still come in against what there is room for. */
function judgeHeadroom({ info, address, waitingBytes, shards }: RedisFacts): Finding {
  const what = 'Redis memory'
  const used = Number(info.used_memory ?? 0)
  const limit = Number(info.maxmemory ?? 0)
  const room = limit > 0 ? limit : Number(info.total_system_memory ?? 0)
  if (!(room > 0)) return ok(what, `${mib(used)} used, no limit`)
  const left = room - used + waitingBytes
  // The stream and the rejects of each shard are bounded by themselves.
  const served = shards.find((one) => one.address === address)?.shards.length ?? 0
  const needed = neededBytes * Math.max(1, served)
  const of = limit > 0 ? `maxmemory ${mib(limit)}` : `its machine's ${mib(room)}`
  const found = `${mib(used)} used of ${of}`
  if (left >= needed) {
    if (limit > 0 || used < 0.8 * room) return ok(what, found)
    return hint(what, `${found}, no maxmemory`, 'set maxmemory below what the machine has')
  }
  return warning(
    what,
    `Redis at ${address} has ${found}; a full stream and its rejects need ${mib(needed)}, and windows come on top`,
    limit > 0 ? 'raise maxmemory' : 'give Redis more memory',
  )
}

function judgeLink({ pingMs, address }: RedisFacts): Finding {
  const what = 'Redis latency'
  const found = `${pingMs < 10 ? pingMs.toFixed(2) : Math.round(pingMs)} ms a round trip`
  const todo = 'run Millrace near its Redis: each commit takes a round trip'
  if (pingMs > 20) return warning(what, `the link to Redis at ${address} is slow: ${found}`, todo)
  return pingMs > 3 ? hint(what, found, todo) : ok(what, found)
}

function judgeClock({ skewMs, address }: RedisFacts): Finding {
  const what = 'clocks'
  const seconds = Math.abs(skewMs) / 1_000
  // Kafka has no call that tells its time, and nothing of ours depends on it.
  if (seconds < 1) return ok(what, 'Redis and this machine agree within a second')
  const found = `the clock of Redis at ${address} is ${seconds.toFixed(1)} s ${skewMs > 0 ? 'ahead of' : 'behind'} ours`
  const todo =
    'run NTP on both: the future is told by our clock, leases and idle partitions by that of Redis'
  return seconds > 10 ? warning(what, found, todo) : hint(what, found, todo)
}

/** Payloads pass through the file at the topic's pace; hardly any of them is left at a rewrite. */
const rewriteBytesMin = 256 * 1024 * 1024

function judgeSettings({ settings, address, info, executorsMax }: RedisFacts): Finding[] {
  if (!settings) {
    const found = `Redis at ${address} does not tell its settings (CONFIG GET)`
    return [
      hint('Redis settings', found, 'check appendfsync and client-output-buffer-limit by hand'),
    ]
  }
  const findings: Finding[] = []
  if (info.aof_enabled === '1' && settings.appendfsync === 'no') {
    const found = 'appendfsync is no: a power cut can take half a minute of windows'
    findings.push(warning('appendfsync', found, 'set it to everysec'))
  } else if (info.aof_enabled === '1' && settings.appendfsync === 'always') {
    const found = 'appendfsync is always: every commit waits for the disk'
    findings.push(hint('appendfsync', found, 'everysec is enough: what is lost is read again'))
  }
  const rewriteBytes = Number(settings['auto-aof-rewrite-min-size'] ?? Infinity)
  if (info.aof_enabled === '1' && rewriteBytes < rewriteBytesMin) {
    const found = `auto-aof-rewrite-min-size is ${mib(rewriteBytes)}: at full speed Redis rewrites its file about every second`
    findings.push(hint('append-only file', found, 'set auto-aof-rewrite-min-size to 512mb'))
  }
  if (Number(settings.timeout ?? 0) > 0) {
    const found = `timeout is ${settings.timeout}: Redis cuts connections that are quiet for so many seconds`
    findings.push(hint('Redis timeout', found, 'set timeout to 0'))
  }
  const output = hardLimitOf(settings['client-output-buffer-limit'])
  if (output > 0 && output < replyBytes) {
    const found = `client-output-buffer-limit lets clients have ${mib(output)}, less than one read of an executor`
    const todo = `set client-output-buffer-limit "normal 0 0 0", or to ${mib(replyBytes)} at least`
    findings.push(warning('client-output-buffer-limit', found, todo))
  }
  const free = Number(settings.maxclients ?? Infinity) - Number(info.connected_clients ?? 0)
  if (free < connectionsOf(executorsMax)) {
    const found = `Redis takes ${free} more connections; ${executorsMax} executors and the rest need ${connectionsOf(executorsMax)}`
    findings.push(warning('maxclients', found, 'raise maxclients'))
  }
  return findings.length > 0 ? findings : [ok('Redis settings', 'nothing in our way')]
}

/** "normal 0 0 0 slave 268435456 67108864 60 …": the hard limit of normal clients; 0 for none. */
function hardLimitOf(text: string | undefined): number {
  return Number(/\bnormal (\d+)/.exec(text ?? '')?.[1] ?? 0)
}

/** Executors have three each; supervisor, bridge, web and a standby have two. */
const connectionsOf = (executors: number): number => 3 * executors + 8

const mib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`
