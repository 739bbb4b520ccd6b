import { describe, expect, test } from 'bun:test'
import { traceSettings } from '../../../actors/trace/settings.ts'

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }

describe('nothing is traced, and nothing said', () => {
  const silent: Record<string, string>[] = [
    {},
    { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_TRACES_EXPORTER: '' },
    { ...endpoint, OTEL_SDK_DISABLED: 'TRUE' },
    { ...endpoint, OTEL_TRACES_EXPORTER: 'none' },
    { ...endpoint, OTEL_TRACES_SAMPLER: 'always_off' },
    { ...endpoint, OTEL_TRACES_SAMPLER: 'parentbased_always_off' },
  ]
  for (const environment of silent) {
    test(JSON.stringify(environment), () =>
      expect(traceSettings(environment)).toEqual({ share: null, warnings: [] }),
    )
  }
})

describe('what we can not do is said once, and nothing is traced', () => {
  const wrong: [Record<string, string>, RegExp][] = [
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /must be otlp or none, not zipkin/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '127.0.0.1:4318' }, /http:\/\/… or https:/],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /HTTP \(port 4318\), not as grpc/],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc' }, /not as grpc/],
  ]
  for (const [environment, warning] of wrong) {
    test(JSON.stringify(environment), () => {
      const { share, warnings } = traceSettings(environment)
      expect(share).toBeNull()
      expect(warnings).toEqual([expect.stringMatching(warning)])
    })
  }
})

test('the share is a hundredth, or what the sampler says', () => {
  const share = (environment: Record<string, string>) =>
    traceSettings({ OTEL_TRACES_EXPORTER: 'otlp', ...environment }).share
  const ratio = { OTEL_TRACES_SAMPLER: 'traceidratio' }
  expect(share({})).toBe(0.01)
  expect(share({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' })).toBe(0.01)
  expect(share({ OTEL_TRACES_SAMPLER: 'always_on' })).toBe(1)
  expect(share({ OTEL_TRACES_SAMPLER: 'parentbased_always_on' })).toBe(1)
  expect(share(ratio)).toBe(1)
  expect(share({ ...ratio, OTEL_TRACES_SAMPLER_ARG: '0.25' })).toBe(0.25)
  expect(share({ ...ratio, OTEL_TRACES_SAMPLER_ARG: '0' })).toBe(0)
  for (const wrong of ['half', '1.5', '-1', 'NaN']) {
    const told = traceSettings({ ...endpoint, ...ratio, OTEL_TRACES_SAMPLER_ARG: wrong })
    expect(told).toEqual({ share: 0.01, warnings: [expect.stringMatching(/from 0 to 1/)] })
  }
  const other = traceSettings({ ...endpoint, OTEL_TRACES_SAMPLER: 'jaeger_remote' })
  expect(other).toEqual({ share: 0.01, warnings: [expect.stringMatching(/always_on, always_off/)] })
})
