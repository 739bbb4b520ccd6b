/**
 * What one call costs Redis that looks at everything: all partitions of the ledger, all actors of the
 * register. No call of ours may hold Redis for more than 10 ms; this finds where each of them gets there.
 *
 *   own Redis → for each size: a ledger and actors → each function some times → CPU of Redis's thread and ours
 *
 *   bun bench/ledger.ts --json ledger.json
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../actors/clock.ts'
import { type Config, readConfig } from '../actors/config.ts'
import { runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { GROUP, type Keys, keysOf } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { measure } from '../actors/measure.ts'
import { delayBucketsMs, noWork } from '../actors/messages.ts'
import { openStore, type Store, untilReady } from '../actors/redis.ts'
import studentsJob from '../jobs/students.ts'
import { createProgress } from '../cli/progress.ts'
import { startRedis } from '../services/services.ts'
import { advance } from '../supervisor/closing.ts'
import { machineFacts, machineText } from './machine.ts'
import { aligned } from './report.ts'

const command = {
  help: `
bun bench/ledger.ts [options]

Measures what those calls cost Redis that look at all partitions and all actors, by how many there
are, with a Redis of its own.

  --calls N     of each function (20); means are told
  --json FILE   the results as JSON besides
  --help        this text`,
  options: { calls: { type: 'string' }, json: { type: 'string' } },
} as const

interface Size {
  partitions: number
  actors: number
}

const sizes: readonly Size[] = [
  { partitions: 4, actors: 4 },
  { partitions: 100, actors: 4 },
  { partitions: 1_000, actors: 4 },
  { partitions: 4, actors: 100 },
  { partitions: 4, actors: 500 },
  { partitions: 10_000, actors: 500 },
]

/** Records of each partition that are read; the last of them was 1 s ago. */
const READ = 1_000_000
const LEASE_MS = 3_600_000

interface Point extends Size {
  /** Microseconds that Redis's thread is held, by function. */
  redisMicros: Record<string, number>
  /** Microseconds of processor time that a snapshot costs who takes it. */
  takerMicros: number
}

await runMain('ledger', async () => {
  const { values } = parseFlags(command)
  const calls = wholeNumberFlag('calls', values.calls, { from: 1, to: 10_000 }) ?? 20
  const dir = mkdtempSync(join(tmpdir(), 'millrace-ledger-'))
  const server = await startRedis({ dir, detached: false }, createProgress())
  const config = readConfig({ REDIS_URL: `redis://127.0.0.1:${server.port}` })
  try {
    const points: Point[] = []
    for (const size of sizes) points.push(await pointOf(config, size, calls))
    process.stdout.write(`${textOf(points)}\n${machineText(machineFacts(), {})}\n`)
    if (values.json) await Bun.write(values.json, `${JSON.stringify(points, null, 2)}\n`)
    return 0
  } finally {
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  }
})

async function pointOf(config: Config, size: Size, calls: number): Promise<Point> {
  const store = openStore(config, createLog('ledger', 'error'))
  const keys = keysOf(`p${size.partitions}a${size.actors}`)
  await untilReady(store)
  // The first call loads the library.
  await store.call('measure', keys.base, [])
  const opened = await heldMicros(store, 1, () => fillLedger(store, keys, size.partitions))
  await fillActors(store, keys, size.actors)
  const readers = Array.from({ length: size.partitions }, (_, p) => [p, READ]).flat()
  const each: [string, () => Promise<unknown>][] = [
    ['advance', () => advance(store, keys, studentsJob)],
    ['seen', () => store.call('seen', keys.base, readers)],
    ['share', () => store.call('share', keys.base, ['bridge-1', LEASE_MS, 0, 1, '*'])],
    ['claim', () => store.call('claim', keys.base, ['executor-0', 1])],
    ['beat', () => beat(store, keys, 1)],
  ]
  const redisMicros: Record<string, number> = { open: opened }
  for (const [name, call] of each) redisMicros[name] = await heldMicros(store, calls, call)
  const before = process.cpuUsage()
  redisMicros.measure = await heldMicros(store, calls, () => measure(store, keys))
  const { user, system } = process.cpuUsage(before)
  await store.close()
  return { ...size, redisMicros, takerMicros: (user + system) / calls }
}

/** The job at work: each partition has been read to its end, and has an event time. */
async function fillLedger(store: Store, keys: Keys, partitions: number): Promise<void> {
  const all = Array.from({ length: partitions }, (_, p) => [p, 0, READ]).flat()
  await store.call('open', keys.base, ['topic', 'shape', ...all])
  const now = systemClock.now()
  const told = Array.from({ length: partitions }, (_, p) => [
    `${p}:next`,
    READ,
    `${p}:frontier`,
    READ,
    `${p}:max`,
    now - 1_000,
    `${p}:dataAt`,
    now,
  ]).flat()
  for (let i = 0; i < told.length; i += 4_000) {
    await store.redis.hset(keys.ledger, ...told.slice(i, i + 4_000))
  }
}

async function fillActors(store: Store, keys: Keys, actors: number): Promise<void> {
  for (let i = 0; i < actors; i++) {
    await beat(store, keys, i)
    await store.redis.xgroup('CREATECONSUMER', keys.entries, GROUP, `executor-${i}`)
  }
}

/** An executor that has been at work for a while says so much of itself. */
function beat(store: Store, keys: Keys, i: number): Promise<unknown> {
  const now = systemClock.now()
  const delays = delayBucketsMs.map((_, bucket) => (bucket > 8 && bucket < 32 ? 40_000 + i : 0))
  const account = {
    ...noWork,
    id: `executor-${i}`,
    kind: 'executor',
    pid: i,
    host: 'host',
    state: 'running',
    startedAt: now - 60_000,
    at: now,
    stoppedAt: null,
    reason: null,
    rssBytes: 6e7,
    records: READ,
    entries: 900,
    busyMs: 55_000,
    delays,
    eventDelays: delays,
  }
  return store.call('beat', keys.base, [account.id, JSON.stringify(account), LEASE_MS])
}

/**
 * How long one call holds Redis: the processor time of its thread, which others on the machine do not
 * lengthen.
 */
async function heldMicros(
  store: Store,
  calls: number,
  call: () => Promise<unknown>,
): Promise<number> {
  const before = await threadMicros(store)
  for (let i = 0; i < calls; i++) await call()
  return ((await threadMicros(store)) - before) / calls
}

async function threadMicros(store: Store): Promise<number> {
  const cpu = await store.redis.info('cpu')
  const seconds = (kind: string) =>
    Number(new RegExp(`used_cpu_${kind}_main_thread:([\\d.]+)`).exec(cpu)?.[1])
  return (seconds('user') + seconds('sys')) * 1e6
}

function textOf(points: readonly Point[]): string {
  const names = Object.keys(points[0]!.redisMicros)
  const rows = points.map(({ partitions, actors, redisMicros, takerMicros }) => [
    ...[partitions, actors].map((count) => count.toLocaleString('en')),
    ...names.map((name) => ((redisMicros[name] ?? 0) / 1_000).toFixed(3)),
    (takerMicros / 1_000).toFixed(2),
  ])
  const heads = ['partitions', 'actors', ...names, 'snapshot, taker']
  return ['ms that one call holds Redis', ...aligned([heads, ...rows])].join('\n')
}
