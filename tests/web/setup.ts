/**
 * An app over a seeded job of its own, asked without a socket.
 */
import * as v from 'valibot'
import { systemClock } from '../../actors/clock.ts'
import { avg, count, defineJob, type Job, sum } from '../../actors/job.ts'
import { createStatusReader } from '../../supervisor/status-reader.ts'
import { createApp, type WebApp, type WebParts } from '../../web/app.ts'
import { uniqueName } from '../../faults/names.ts'
import { type Seeded, seed, silentLog } from './seed.ts'

export const jobNamed = (name: string) =>
  defineJob({
    name,
    topic: 'records',
    schema: v.object({ at: v.number(), who: v.string(), state: v.string(), loc: v.number() }),
    eventTime: (record) => record.at,
    watermarkDelay: '0 s',
    window: { size: '10 s', slide: '5 s' },
    // `state` is also a field of the windows' query, so it needs `key.` in front there.
    groupBy: ['who', 'state'],
    aggregates: { total: sum('loc'), mean: avg('loc'), events: count() },
  })

export interface Web extends WebApp {
  seeded: Seeded
  /** A request from this machine; `from` is the caller's address, null where it is not known. */
  ask(path: string, init?: RequestInit, from?: string | null): Promise<Response>
  /** The same, answered with status and parsed JSON. */
  json(path: string, init?: RequestInit): Promise<{ status: number; body: Json }>
  end(): Promise<void>
}

// Answers are checked by the schemas where their form matters; here they are only looked into.
export type Json = Record<string, unknown> & { error?: { code: string; message: string } }

export async function openWeb(
  label: string,
  parts: Partial<WebParts> = {},
  change: Partial<Job> = {},
): Promise<Web> {
  const seeded = await seed({ ...jobNamed(uniqueName(label)), ...change })
  const { store, keys, job } = seeded
  const clock = systemClock
  const { app, feed } = createApp({
    reader: createStatusReader(parts.store ?? store, keys, job, clock),
    store,
    keys,
    job,
    clock,
    log: silentLog,
    kafkaAnswers: () => Promise.resolve(true),
    token: null,
    tickMs: 50,
    ...parts,
  })
  const ask = async (path: string, init?: RequestInit, from: string | null = '127.0.0.1') =>
    app.request(path, init, from === null ? {} : { requestIP: () => ({ address: from }) })
  return {
    app,
    feed,
    seeded,
    ask,
    async json(path, init) {
      const response = await ask(path, init)
      return { status: response.status, body: (await response.json()) as Json }
    },
    async end() {
      await feed.close()
      await seeded.end()
    },
  }
}

export const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
})
