import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { metricsText } from '../../web/metrics.ts'
import { parseExposition } from '../support/exposition.ts'
import { metricsIn } from '../support/promql.ts'
import { promtool, runPromtool } from '../support/promtool.ts'
import { everything } from '../web/telling.ts'
import { cases, healthy, type Series } from './series.ts'

const folder = join(import.meta.dir, '..', '..', 'deploy', 'prometheus')
const file = join(folder, 'alerts.yml')

const rulesSchema = v.object({
  groups: v.array(
    v.object({
      name: v.string(),
      rules: v.array(
        v.strictObject({
          alert: v.pipe(v.string(), v.startsWith('Millrace')),
          expr: v.string(),
          for: v.pipe(v.string(), v.regex(/^[1-9]\d*m$/)),
          labels: v.strictObject({ severity: v.picklist(['critical', 'warning']) }),
          annotations: v.strictObject({
            summary: v.pipe(v.string(), v.includes('{{ $labels.instance }}')),
            description: v.pipe(v.string(), v.minLength(40)),
          }),
        }),
      ),
    }),
  ),
})
const parsed = v.parse(rulesSchema, Bun.YAML.parse(await Bun.file(file).text()))
const rules = parsed.groups.flatMap((group) => group.rules)

/** Each is told at 15 s for 45 minutes; what fires is asked at the end. */
const rulesTest = (series: Series) => ({
  interval: '15s',
  input_series: Object.entries(series).map(([name, values]) => ({
    series: name
      .replace(/^([a-z_]+)\{?/, '$1{job="millrace",instance="here:8080",')
      .replace(/,?}?$/, '}'),
    values,
  })),
})

/** Whether these alerts, and no others, fire on these series. */
async function firing(series: Series, expected: readonly string[]) {
  const at = mkdtempSync(join(tmpdir(), 'millrace-alerts-'))
  const asked = {
    expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
    eval_time: '44m',
    exp_samples: expected.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
  }
  const tests = [{ ...rulesTest(series), promql_expr_test: [asked] }]
  const path = join(at, 'test.yml')
  // YAML takes JSON.
  writeFileSync(path, JSON.stringify({ rule_files: [file], evaluation_interval: '15s', tests }))
  try {
    return await runPromtool(['test', 'rules', path])
  } finally {
    rmSync(at, { recursive: true })
  }
}

test('every alert has a case that fires it, and every case an alert', () => {
  expect(cases.map(({ alert }) => alert).toSorted()).toEqual(
    rules.map(({ alert }) => alert).toSorted(),
  )
})

test('alerts name nothing that /metrics does not tell', async () => {
  const families = parseExposition(await metricsText(everything))
  const told = new Set([...families.values()].flatMap((one) => one.samples.map(({ name }) => name)))
  for (const { alert, expr } of rules) {
    expect({ alert, unknown: metricsIn(expr).filter((name) => !told.has(name)) }).toEqual({
      alert,
      unknown: [],
    })
  }
  const used = Object.keys(healthy).flatMap(metricsIn)
  expect(used.filter((name) => !told.has(name))).toEqual([])
})

describe.skipIf(!promtool)('promtool', () => {
  test('takes the rules and the example', async () => {
    const checked = await runPromtool(['check', 'rules', file])
    expect(checked.said).toContain(`SUCCESS: ${rules.length} rules found`)
    const config = await runPromtool(['check', 'config', join(folder, 'prometheus.yml')])
    expect(config.code).toBe(0)
  })

  test('nothing fires where all is well', async () => {
    const { code, said } = await firing(healthy, [])
    expect(said).toContain('SUCCESS')
    expect(code).toBe(0)
  })

  for (const { alert, bad, also = [], good } of cases) {
    test(`${alert} fires where it should, with ${also.join(' and ') || 'no other'}`, async () => {
      const { said } = await firing({ ...healthy, ...bad }, [alert, ...also])
      expect(said).toContain('SUCCESS')
    })
    for (const [why, series] of Object.entries(good ?? {})) {
      test(`${alert} does not fire: ${why}`, async () => {
        const { said } = await firing({ ...healthy, ...series }, [])
        expect(said).toContain('SUCCESS')
      })
    }
  }
})
