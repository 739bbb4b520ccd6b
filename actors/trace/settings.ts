/**
 * Whether and how much is traced, by OpenTelemetry's own environment variables. They are often set for
 * a whole machine, so what we can't do ends nothing: it is said in a warning, and nothing is traced. Pure.
 */

export interface TraceSettings {
  /** Share of the stream's entries that are traced, 0 to 1; null: nothing is loaded. */
  share: number | null
  warnings: string[]
}

/** Entries hold hundreds of records: a hundredth of them shows the way, and costs hardly anything. */
const defaultShare = 0.01

type Environment = Record<string, string | undefined>

export function traceSettings(environment: Environment): TraceSettings {
  const off = (...warnings: string[]): TraceSettings => ({ share: null, warnings })
  const value = (name: string) => environment[name]?.trim() ?? ''
  if (value('OTEL_SDK_DISABLED').toLowerCase() === 'true') return off()
  const exporter = value('OTEL_TRACES_EXPORTER')
  const endpoint =
    value('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') || value('OTEL_EXPORTER_OTLP_ENDPOINT')
  if (exporter === 'none' || (exporter === '' && endpoint === '')) return off()
  if (exporter !== '' && exporter !== 'otlp') {
    return off(`OTEL_TRACES_EXPORTER must be otlp or none, not ${exporter}; nothing is traced`)
  }
  if (endpoint !== '' && !/^https?:\/\/./.test(endpoint)) {
    return off(`the OTLP endpoint must be http://… or https://…; nothing is traced`)
  }
  const protocol =
    value('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') || value('OTEL_EXPORTER_OTLP_PROTOCOL')
  // Where protobuf is taken over HTTP, JSON is too: at the same address, by its content type.
  if (!['', 'http/json', 'http/protobuf'].includes(protocol)) {
    return off(`OTLP is spoken over HTTP (port 4318), not as ${protocol}; nothing is traced`)
  }
  return sampling(value('OTEL_TRACES_SAMPLER'), value('OTEL_TRACES_SAMPLER_ARG'))
}

/** No span of ours has a parent elsewhere, so that `parentbased_` changes nothing. */
function sampling(name: string, argument: string): TraceSettings {
  const sampler = name.replace(/^parentbased_/, '')
  const on = (share: number, ...warnings: string[]): TraceSettings => ({ share, warnings })
  switch (sampler) {
    case '':
      return on(defaultShare)
    case 'always_on':
      return on(1)
    case 'always_off':
      return { share: null, warnings: [] }
    case 'traceidratio': {
      // Absent means all, as OpenTelemetry has it.
      const share = argument === '' ? 1 : Number(argument)
      if (share >= 0 && share <= 1) return on(share)
      const allowed = 'OTEL_TRACES_SAMPLER_ARG must be a share from 0 to 1'
      return on(defaultShare, `${allowed}; it is ${defaultShare} now`)
    }
    default: {
      const allowed = 'OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio'
      return on(defaultShare, `${allowed}; a share of ${defaultShare} is traced`)
    }
  }
}
