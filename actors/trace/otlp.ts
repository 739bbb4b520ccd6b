/**
 * Spans by OpenTelemetry's own exporter, over HTTP. They are made when they are over, with ids of our
 * own (ids.ts), and wait in a bounded queue, from which the newest are left out when it is full: a
 * receiver that is slow or away costs spans and one warning, never an actor's time.
 */
import {
  type Attributes,
  type HrTime,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace'
import manifest from '../../package.json' with { type: 'json' }
import { bounds } from '../config.ts'
import { causesOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { spanId, type TraceIds, traceOf } from './ids.ts'
import { partitionOf } from '../topics.ts'
import type { Run, Trace, TracedPlace, TracedSlice, TraceOptions } from './trace.ts'

/** What a step is by the semantic conventions of messaging. */
const steps = {
  append: { kind: SpanKind.CLIENT, type: 'receive' },
  fold: { kind: SpanKind.CONSUMER, type: 'process' },
  commit: { kind: SpanKind.CLIENT, type: 'settle' },
} as const

const closeMs = 1_000
/** How long the wall clock is trusted from one look at it. */
const anchorMs = 1_000

interface Step {
  name: keyof typeof steps
  ids: TraceIds
  id: string
  place: TracedPlace
  run: Run
  since: number
  more?: Attributes
}

export function openOtlp(options: TraceOptions, share: number): Trace {
  const { kind, job, clock, log } = options
  const me = options.id ?? `${kind}-${process.pid}`
  const processor = new BatchSpanProcessor({
    exporter: telling(new OTLPTraceExporter(), log),
    maxQueueSize: bounds.traceSpansMax,
  })
  const resource = resourceOf(options)
  const now = fractionOf(options)
  const idsOf = (partition: number, from: number) => traceOf(job.name, partition, from, share)
  const end = (step: Step) => processor.onEnd(spanOf(step, resource, now()))
  const ofSlice = (
    name: 'fold' | 'commit',
    slice: TracedSlice,
    since: number,
    more: Attributes,
  ) => {
    const { from, crashes } = slice.entry
    const place = slice.entry
    const ids = idsOf(place.partition, from)
    if (!ids) return
    const id = spanId(ids.rootId, name, me, slice.from)
    const all = { 'millrace.entry.crashes': crashes, ...more }
    end({ name, ids, id, place, run: slice, since, more: all })
  }
  log.info('tracing', { share })
  return {
    now,
    appended(place, entries, since) {
      for (const run of entries) {
        const ids = idsOf(place.partition, run.from)
        if (ids) end({ name: 'append', ids, id: ids.rootId, place, run, since })
      }
    },
    folded: (slice, since) => ofSlice('fold', slice, since, {}),
    committed(slices, since) {
      for (const slice of slices) {
        ofSlice('commit', slice, since, {
          'millrace.commit.slices': slices.length,
          ...resultDelay(slice, clock.now()),
        })
      }
    },
    async close() {
      // What fails is told by the exporter.
      await Promise.race([processor.shutdown().catch(() => {}), clock.sleep(closeMs)])
    },
  }
}

/** Of its oldest record, by Kafka's timestamp. */
function resultDelay({ stamps }: TracedSlice, now: number): Attributes {
  if (stamps.length === 0) return {}
  const oldest = stamps.reduce((least, [timestamp]) => Math.min(least, timestamp), Infinity)
  return { 'millrace.result_delay_seconds': (now - oldest) / 1_000 }
}

function spanOf(step: Step, resource: ReadableSpan['resource'], now: number) {
  const { name, ids, id, place, run, since, more } = step
  const { kind, type } = steps[name]
  const of = (spanId: string) => ({
    traceId: ids.traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
  })
  const span: ReadableSpan = {
    name: `${name} ${place.topic}`,
    kind,
    spanContext: () => of(id),
    ...(id !== ids.rootId && { parentSpanContext: of(ids.rootId) }),
    startTime: timeOf(since),
    endTime: timeOf(Math.max(now, since)),
    duration: timeOf(Math.max(now - since, 0)),
    ended: true,
    status: { code: SpanStatusCode.UNSET },
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': name,
      'messaging.operation.type': type,
      'messaging.destination.name': place.topic,
      'messaging.destination.partition.id': String(partitionOf(place.partition)),
      'messaging.kafka.offset': run.from,
      'messaging.batch.message_count': run.records,
      'millrace.offset.end': run.to,
      ...more,
    },
    links: [],
    events: [],
    resource,
    instrumentationScope: { name: 'millrace', version: manifest.version },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
  return span
}

/** Seconds and nanoseconds. */
function timeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)]
}

/** What the environment says of us (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) wins. */
function resourceOf({ kind, id, job }: TraceOptions) {
  const ours = resourceFromAttributes({
    'service.name': `millrace-${kind}`,
    'service.version': manifest.version,
    'millrace.job': job.name,
    ...(id !== undefined && { 'service.instance.id': id }),
  })
  return defaultResource()
    .merge(ours)
    .merge(detectResources({ detectors: [envDetector] }))
}

/** The wall clock with the fractions of the monotonic one. */
function fractionOf({ clock }: TraceOptions): () => number {
  let [wall, elapsed] = [clock.now(), clock.elapsed()]
  return () => {
    const now = clock.elapsed()
    if (now - elapsed > anchorMs) [wall, elapsed] = [clock.now(), now]
    return wall + (now - elapsed)
  }
}

/** The exporter, whose failures are said once until it works again. */
function telling(exporter: SpanExporter, log: Log): SpanExporter {
  let failing = false
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.error && !failing) {
          const error = causesOf(result.error)
          log.warn('spans can not be exported; the pipeline goes on without', { error })
        }
        failing = result.error !== undefined
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
  }
}
