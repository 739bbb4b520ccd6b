import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { systemClock } from '../../../actors/clock.ts'
import { bounds } from '../../../actors/config.ts'
import { createLog } from '../../../actors/log.ts'
import { openTrace } from '../../../actors/trace/trace.ts'
import { until } from '../../../faults/until.ts'
import { openReceiver } from '../../support/otlp.ts'

const root = join(import.meta.dir, '..', '..', '..')

/** What a process has loaded of OpenTelemetry once an actor's modules are there and asked for a trace. */
async function loadedWith(environment: Record<string, string>): Promise<string[]> {
  const script = `
    await import('${root}/actors/bridge/run.ts')
    await import('${root}/actors/executor/run.ts')
    const { openTrace } = await import('${root}/actors/trace/trace.ts')
    const { systemClock: clock } = await import('${root}/actors/clock.ts')
    const { createLog } = await import('${root}/actors/log.ts')
    const log = createLog('test', 'error', () => {}, false)
    const job = { name: 'j', topic: 't' }
    const trace = await openTrace({ kind: 'bridge', id: 'b', job, clock, log })
    const loaded = Object.keys(require.cache).filter((path) => path.includes('opentelemetry'))
    console.log(JSON.stringify({ on: trace !== null, loaded }))
    process.exit(0)`
  const { OTEL_EXPORTER_OTLP_ENDPOINT: _, OTEL_TRACES_EXPORTER: __, ...ours } = process.env
  const child = Bun.spawn([process.execPath, '-e', script], {
    cwd: root,
    env: { ...ours, ...environment },
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const said = JSON.parse(await new Response(child.stdout).text()) as {
    on: boolean
    loaded: string[]
  }
  expect(said.on).toBe(said.loaded.length > 0)
  return said.loaded
}

test('off, nothing of OpenTelemetry is loaded; on, it is', async () => {
  expect(await loadedWith({})).toEqual([])
  expect(await loadedWith({ OTEL_TRACES_EXPORTER: 'none' })).toEqual([])
  expect((await loadedWith({ OTEL_TRACES_EXPORTER: 'otlp' })).length).toBeGreaterThan(10)
}, 30_000)

async function open(endpoint: string, warnings: string[] = []) {
  const log = createLog('test', 'warn', (line) => void warnings.push(line), false)
  const job = { name: 'j', topic: 't' }
  // The exporter reads the process's own environment.
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = endpoint
  process.env.OTEL_TRACES_SAMPLER = 'always_on'
  // How long it tries again, in ms.
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '1500'
  try {
    return (await openTrace({ kind: 'bridge', id: 'b', job, clock: systemClock, log }))!
  } finally {
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT
    delete process.env.OTEL_TRACES_SAMPLER
    delete process.env.OTEL_EXPORTER_OTLP_TIMEOUT
  }
}

const runs = (count: number, first = 0) =>
  Array.from({ length: count }, (_, k) => ({ from: first + k, to: first + k + 1, records: 1 }))

test('a receiver that is away costs one warning, and no error', async () => {
  const refusing = openReceiver()
  await refusing.end()
  const warnings: string[] = []
  const trace = await open(refusing.endpoint, warnings)
  for (let round = 0; round < 3; round++)
    trace.appended({ topic: 'records', partition: 0 }, runs(bounds.traceSpansMax), trace.now())
  await until('a warning', () => warnings.length > 0, { timeoutMs: 30_000 })
  await trace.close()
  expect(warnings.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
    'spans can not be exported; the pipeline goes on without',
  ])
}, 45_000)

test('one that never answers holds no end up, and what waits has a bound', async () => {
  let asked = 0
  const mute = openReceiver(() => {
    asked++
    return new Promise<Response>(() => {})
  })
  const trace = await open(mute.endpoint)
  for (let round = 0; round < 10; round++)
    trace.appended({ topic: 'records', partition: 0 }, runs(1_000, round * 1_000), trace.now())
  await trace.close()
  // Batches of 512 out of a queue of 2,048, and the one that was under way.
  expect(asked).toBeLessThanOrEqual(6)
  await mute.end()
}, 15_000)

test('what waits at the end is sent', async () => {
  const receiver = openReceiver()
  const trace = await open(receiver.endpoint)
  trace.appended({ topic: 'records', partition: 0 }, runs(3), trace.now())
  await trace.close()
  expect(receiver.spans.length).toBe(3)
  expect(receiver.errors).toEqual([])
  await receiver.end()
})

test('time is the wall clock’s with fractions, and goes on', async () => {
  const receiver = openReceiver()
  const trace = await open(receiver.endpoint)
  const times = Array.from({ length: 1_000 }, () => trace.now())
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect(Math.abs(times[0]! - systemClock.now())).toBeLessThan(1_000)
  await trace.close()
  await receiver.end()
})
