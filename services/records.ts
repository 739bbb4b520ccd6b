/**
 * What `services up` started, in a file beside its data, so that `down` and `status` of later find
 * it again. A record whose process has ended, or whose pid is another's by now, counts as none.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { systemClock } from '../actors/clock.ts'
import { type Identity, identify, isStill } from './identity.ts'
import type { Server } from './server.ts'

export type ServiceName = 'kafka' | 'redis'

const recordSchema = v.variant('by', [
  v.object({
    by: v.literal('process'),
    pid: v.pipe(v.number(), v.integer(), v.minValue(2)),
    startedAt: v.string(),
    marker: v.pipe(v.string(), v.minLength(1)),
    port: v.number(),
  }),
  v.object({ by: v.literal('compose'), port: v.number() }),
])

export type StartRecord = v.InferOutput<typeof recordSchema>

const STOP_TIMEOUT_MS = 20_000
const ASK_EVERY_MS = 50

export function readRecord(dir: string, name: ServiceName): StartRecord | undefined {
  const path = pathOf(dir, name)
  if (!existsSync(path)) return undefined
  const record = parse(readFileSync(path, 'utf8'))
  return record?.by === 'process' && !isStill(record) ? undefined : record
}

export function recordServer(dir: string, name: ServiceName, server: Server): void {
  // The directory is in the command line of both servers and of nothing else.
  const identity = identify(server.pid, join(dir, name))
  if (identity) write(dir, name, { by: 'process', ...identity, port: server.port })
}

export function recordContainer(dir: string, name: ServiceName, port: number): void {
  write(dir, name, { by: 'compose', port })
}

export function forget(dir: string, name: ServiceName): void {
  rmSync(pathOf(dir, name), { force: true })
}

/** SIGTERM, and SIGKILL when that did not help; looks before each signal whether it is still ours. */
export async function endProcess(identity: Identity): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isStill(identity)) return
    process.kill(identity.pid, signal)
    const deadline = systemClock.elapsed() + STOP_TIMEOUT_MS
    while (isStill(identity) && systemClock.elapsed() < deadline) {
      await systemClock.sleep(ASK_EVERY_MS)
    }
  }
}

function parse(text: string): StartRecord | undefined {
  try {
    return v.parse(recordSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}

function write(dir: string, name: ServiceName, record: StartRecord): void {
  const path = pathOf(dir, name)
  mkdirSync(join(dir, name), { recursive: true })
  writeFileSync(`${path}.partial`, `${JSON.stringify(record)}\n`)
  renameSync(`${path}.partial`, path)
}

function pathOf(dir: string, name: ServiceName): string {
  return join(dir, name, 'started.json')
}
