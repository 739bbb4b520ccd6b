/**
 * The way of records as a collector gets to see it, from a real bridge and real executors:
 *
 *   append (root) ─┬─ fold
 *                  └─ commit        one trace an entry
 */
import { expect, test } from 'bun:test'
import { until } from '../../faults/until.ts'
import { openReceiver, type ReceivedSpan } from '../support/otlp.ts'
import { withPipeline } from './pipeline.ts'

const reading = (minute: number) =>
  JSON.stringify({
    at: `2024-05-01T12:${String(minute).padStart(2, '0')}:00Z`,
    site: { name: 'mill', floor: 0 },
    celsius: minute,
  })

const of = (spans: ReceivedSpan[], name: string) =>
  spans.filter((span) => span.attributes['messaging.operation.name'] === name)
const counted = (spans: ReceivedSpan[]) =>
  spans.reduce(
    (sum, { attributes }) => sum + Number(attributes['messaging.batch.message_count']),
    0,
  )

test('every entry has a trace of its append, its folds and its commits', async () => {
  const receiver = openReceiver()
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_TRACES_SAMPLER: 'always_on',
  }
  const topic = { partitions: 2 }
  const options = { label: 'traced', job: 'sensors.ts', topic, environment }
  await withPipeline(options, async (pipeline) => {
    await pipeline.begin()
    for (let minute = 0; minute < 6; minute++) {
      await pipeline.topic.produce([
        { value: reading(minute), partition: 0 },
        { value: reading(minute), partition: 1 },
      ])
    }
    await pipeline.drained()
    const { spans } = receiver
    await until('all records to be traced', () =>
      ['append', 'fold', 'commit'].every((name) => counted(of(spans, name)) === 12),
    )
    expect(receiver.errors).toEqual([])
    const roots = new Map(of(spans, 'append').map((span) => [span.traceId, span]))
    expect(roots.size).toBe(of(spans, 'append').length)
    for (const [traceId, root] of roots) {
      expect(root.parentSpanId).toBeUndefined()
      expect(root.kind).toBe(3)
      expect(root.resource).toMatchObject({
        'service.name': 'millrace-bridge',
        'millrace.job': pipeline.name,
      })
      const steps = spans.filter((span) => span.traceId === traceId && span !== root)
      expect(steps.map(({ parentSpanId }) => parentSpanId)).toEqual(steps.map(() => root.spanId))
      expect(counted(of(steps, 'fold'))).toBe(counted([root]))
      expect(counted(of(steps, 'commit'))).toBe(counted([root]))
      expectSame(root, steps)
    }
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length)
    for (const { attributes, name } of of(spans, 'commit')) {
      expect(name).toBe(`commit ${pipeline.topic.name}`)
      expect(attributes['millrace.result_delay_seconds']).toBeWithin(0, 60)
    }
    expect(pipeline.logLines(/can not be exported/)).toEqual([])
  })
  await receiver.end()
}, 60_000)

/** What all steps of an entry have in common, and that time goes on between them. */
function expectSame(root: ReceivedSpan, steps: ReceivedSpan[]): void {
  const common = ({ attributes }: ReceivedSpan) =>
    ['messaging.system', 'messaging.destination.name', 'messaging.destination.partition.id'].map(
      (name) => attributes[name],
    )
  expect(common(root)[0]).toBe('kafka')
  for (const step of steps) {
    expect(common(step)).toEqual(common(root))
    expect(step.resource['service.name']).toBe('millrace-executor')
    expect(step.endTimeUnixNano >= step.startTimeUnixNano).toBe(true)
    expect(step.startTimeUnixNano >= root.startTimeUnixNano).toBe(true)
  }
  const fold = of(steps, 'fold')[0]!
  const commit = of(steps, 'commit').at(-1)!
  expect(commit.startTimeUnixNano >= fold.endTimeUnixNano).toBe(true)
}
