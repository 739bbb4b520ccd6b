/** A receiver of spans, as a collector is one: OTLP over HTTP, in JSON. */
import * as v from 'valibot'

const valueSchema = v.union([
  v.pipe(
    v.object({ stringValue: v.string() }),
    v.transform(({ stringValue }) => stringValue),
  ),
  v.pipe(
    v.object({ intValue: v.union([v.number(), v.string()]) }),
    v.transform(({ intValue }) => Number(intValue)),
  ),
  v.pipe(
    v.object({ doubleValue: v.number() }),
    v.transform(({ doubleValue }) => doubleValue),
  ),
])
const attributesSchema = v.pipe(
  v.array(v.object({ key: v.string(), value: valueSchema })),
  v.transform((list) => Object.fromEntries(list.map(({ key, value }) => [key, value]))),
)
const hex = (digits: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${digits}}$`)))
const nanos = v.pipe(
  v.string(),
  v.regex(/^\d{19}$/),
  v.transform((text) => BigInt(text)),
)
const spanSchema = v.object({
  traceId: hex(32),
  spanId: hex(16),
  parentSpanId: v.optional(hex(16)),
  name: v.string(),
  kind: v.number(),
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  attributes: attributesSchema,
})
const requestSchema = v.object({
  resourceSpans: v.array(
    v.object({
      resource: v.object({ attributes: v.optional(attributesSchema, []) }),
      scopeSpans: v.array(v.object({ spans: v.array(spanSchema) })),
    }),
  ),
})

export type ReceivedSpan = v.InferOutput<typeof spanSchema> & {
  resource: Record<string, string | number>
}

export interface Receiver {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  endpoint: string
  spans: ReceivedSpan[]
  /** What could not be read; a test expects none. */
  errors: unknown[]
  end(): Promise<void>
}

/** `answer` stands in for what it does with a request. */
export function openReceiver(answer?: () => Response | Promise<Response>): Receiver {
  const spans: ReceivedSpan[] = []
  const errors: unknown[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      if (answer) return answer()
      try {
        if (new URL(request.url).pathname !== '/v1/traces') throw new Error(request.url)
        for (const { resource, scopeSpans } of v.parse(requestSchema, await request.json())
          .resourceSpans) {
          const own = scopeSpans.flatMap((scope) => scope.spans)
          spans.push(...own.map((span) => ({ ...span, resource: resource.attributes })))
        }
      } catch (error) {
        errors.push(error)
      }
      return Response.json({})
    },
  })
  return {
    endpoint: `http://127.0.0.1:${server.port}`,
    spans,
    errors,
    end: () => server.stop(true),
  }
}
