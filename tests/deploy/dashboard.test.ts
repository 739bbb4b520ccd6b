import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { metricsText } from '../../web/metrics.ts'
import { parseExposition } from '../support/exposition.ts'
import { metricsIn } from '../support/promql.ts'
import { promtool, runPromtool } from '../support/promtool.ts'
import { everything } from '../web/telling.ts'

const datasource = v.object({ type: v.literal('prometheus'), uid: v.literal('${datasource}') })
const place = v.object({ x: v.number(), y: v.number(), w: v.number(), h: v.number() })
const rowSchema = v.object({
  id: v.number(),
  type: v.literal('row'),
  title: v.string(),
  gridPos: place,
})
const panelSchema = v.object({
  id: v.number(),
  type: v.picklist(['stat', 'timeseries', 'heatmap']),
  title: v.pipe(v.string(), v.minLength(1)),
  description: v.pipe(v.string(), v.minLength(10)),
  datasource,
  gridPos: place,
  fieldConfig: v.object({ defaults: v.looseObject({}), overrides: v.array(v.looseObject({})) }),
  options: v.looseObject({}),
  targets: v.pipe(
    v.array(
      v.object({ refId: v.string(), datasource, expr: v.string(), legendFormat: v.string() }),
    ),
    v.minLength(1),
  ),
})
const dashboardSchema = v.object({
  title: v.literal('Millrace'),
  uid: v.string(),
  schemaVersion: v.number(),
  templating: v.object({
    list: v.array(v.looseObject({ type: v.string(), name: v.string(), query: v.unknown() })),
  }),
  panels: v.array(v.variant('type', [rowSchema, panelSchema])),
})

const file = join(import.meta.dir, '..', '..', 'deploy', 'grafana', 'millrace.json')
const dashboard = v.parse(dashboardSchema, await Bun.file(file).json())
const expressions = dashboard.panels.flatMap((panel) =>
  panel.type === 'row' ? [] : panel.targets.map(({ expr }) => ({ panel: panel.title, expr })),
)

test('panels name nothing that /metrics does not tell, of the chosen job and instance', async () => {
  const families = parseExposition(await metricsText(everything))
  const told = new Set([...families.values()].flatMap((one) => one.samples.map(({ name }) => name)))
  for (const { panel, expr } of expressions) {
    const unknown = metricsIn(expr).filter((name) => !told.has(name))
    const all = expr.match(/\bmillrace_\w+(\{job="\$job",instance=~"\$instance")?/g) ?? []
    const anywhere = all.filter((each) => !each.includes('{'))
    expect({ panel, unknown, anywhere }).toEqual({ panel, unknown: [], anywhere: [] })
  }
})

test('every family that /metrics tells of the pipeline is shown, or told to be left out', async () => {
  const families = parseExposition(await metricsText(everything))
  const shown = new Set(expressions.flatMap(({ expr }) => metricsIn(expr)))
  const histogram = (name: string) => shown.has(`${name}_bucket`)
  const left = [...families.keys()].filter((name) => !shown.has(name) && !histogram(name))
  expect(left.toSorted()).toEqual([
    'millrace_backlog_entries',
    'millrace_build_info',
    'millrace_executor_hour_price',
    'millrace_executors_resident_memory_bytes',
    'millrace_job_info',
    'millrace_latency_p50_seconds',
    'millrace_latency_p99_seconds',
    'millrace_pending_entries',
    'millrace_quota_held',
    'millrace_quota_memory_bytes',
    'millrace_quota_memory_used_bytes',
    'millrace_quota_records_per_second',
    'millrace_records_lost_total',
  ])
})

test('the datasource, the job and the instance can be chosen', () => {
  const variables = dashboard.templating.list.map(({ name, type }) => `${name}: ${type}`)
  expect(variables).toEqual(['datasource: datasource', 'job: query', 'instance: query'])
  const text = JSON.stringify(dashboard)
  const used = new Set([...text.matchAll(/\$\{?(\w+)/g)].map(([, name]) => name))
  expect(used).toEqual(new Set(['__range', '__rate_interval', 'datasource', 'instance', 'job']))
})

test('panels have names and places of their own', () => {
  const ids = dashboard.panels.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  const cells = dashboard.panels.flatMap(({ title, gridPos: { x, y, w, h } }) => {
    if (x + w > 24) throw new Error(`${title} is too wide`)
    return Array.from({ length: w * h }, (_, k) => `${x + (k % w)},${y + Math.floor(k / w)}`)
  })
  expect(new Set(cells).size).toBe(cells.length)
})

test.skipIf(!promtool)("promtool can read each panel's expression", async () => {
  const at = mkdtempSync(join(tmpdir(), 'millrace-dashboard-'))
  const rules = expressions.map(({ expr }, k) => ({
    record: `panel:${k}`,
    expr: expr
      .replaceAll('$__rate_interval', '1m')
      .replaceAll('$__range', '1h')
      .replaceAll('$job', 'millrace')
      .replaceAll('$instance', '.*'),
  }))
  const path = join(at, 'rules.yml')
  writeFileSync(path, JSON.stringify({ groups: [{ name: 'panels', rules }] }))
  const { said } = await runPromtool(['check', 'rules', path])
  rmSync(at, { recursive: true })
  expect(said).toContain(`SUCCESS: ${expressions.length} rules found`)
})
