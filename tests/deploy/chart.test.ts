/**
 * The chart, by what it gives with its defaults (deploy/kubernetes/millrace.yaml): what each pod may do, that its
 * commands and settings are ours, and that the times agree. Where Helm is installed, that the chart gives it.
 */
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { systemClock } from '../../actors/clock.ts'
import { bounds, readConfig } from '../../actors/config.ts'
import { DESCRIBE } from '../../actors/flags.ts'
import { version } from '../../package.json'

const root = resolve(import.meta.dir, '../..')
const folder = mkdtempSync(join(tmpdir(), 'millrace-chart-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const text = v.optional(v.string())
const containerSchema = v.looseObject({
  name: v.string(),
  image: v.string(),
  args: v.array(v.string()),
  env: v.array(
    v.object({
      name: v.string(),
      value: text,
      valueFrom: v.optional(
        v.object({ secretKeyRef: v.object({ name: v.string(), key: v.string() }) }),
      ),
    }),
  ),
  resources: v.object({
    requests: v.object({ cpu: v.string(), memory: v.string() }),
    limits: v.strictObject({ memory: v.string() }),
  }),
  livenessProbe: v.looseObject({
    exec: v.optional(v.object({ command: v.array(v.string()) })),
    httpGet: v.optional(v.object({ path: v.string(), port: v.string() })),
  }),
})
const podSchema = v.object({
  metadata: v.object({ labels: v.record(v.string(), v.string()) }),
  spec: v.looseObject({
    terminationGracePeriodSeconds: v.number(),
    automountServiceAccountToken: v.boolean(),
    serviceAccountName: v.string(),
    containers: v.tuple([containerSchema]),
  }),
})
const objectSchema = v.looseObject({
  kind: v.string(),
  metadata: v.looseObject({ name: v.string() }),
})
type Objects = v.InferOutput<typeof objectSchema>[]

const parse = (yaml: string): Objects =>
  v.parse(v.array(objectSchema), (Bun.YAML.parse(yaml) as unknown[]).filter(Boolean))
const objects = parse(readFileSync(join(root, 'deploy/kubernetes/millrace.yaml'), 'utf8'))
const named = (kind: string, name: string) =>
  objects.find((one) => one.kind === kind && one.metadata.name === name)

/** Component → the pod of it. */
const pods = new Map(
  objects.flatMap((one) => {
    const template = (one.spec as { template?: unknown } | undefined)?.template ?? one.template
    if (!template) return []
    const pod = v.parse(podSchema, template)
    return [[pod.metadata.labels['app.kubernetes.io/component']!, pod] as const]
  }),
)
const podOf = (component: string) => pods.get(component)!
const containerOf = (component: string) => podOf(component).spec.containers[0]
const components = [...pods.keys()].sort()

test('supervisor, bridge, web, and what executors are made from', () => {
  expect(components).toEqual(['bridge', 'executor', 'supervisor', 'web'])
})

const helm = Bun.which('helm')
if (!helm)
  process.stderr.write('NOT CHECKED: that the chart gives its manifest, for want of helm\n')

test.skipIf(!helm)('the chart gives the manifest', async () => {
  const chart = join(root, 'deploy/helm/millrace')
  const child = Bun.spawn([helm!, 'template', 'millrace', chart, '--namespace', 'millrace'], {
    stdout: 'pipe',
  })
  const rendered = parse(await new Response(child.stdout).text())
  const byName = (all: Objects) => all.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)))
  expect(byName(rendered)).toEqual(byName(objects))
})

const nameOf = ({ kind, metadata }: Objects[number]) => `${kind}/${metadata.name}`

test('the chart is of this version', async () => {
  const chart = Bun.YAML.parse(await Bun.file(join(root, 'deploy/helm/millrace/Chart.yaml')).text())
  expect(chart).toMatchObject({ version, appVersion: version })
  for (const component of components)
    expect(containerOf(component).image).toBe(`millrace:${version}`)
})

describe('no pod can do more than it has to', () => {
  test.each(components)('%s: no root, no rights, nothing to write to but /tmp', (component) => {
    const { spec } = podOf(component)
    expect(spec.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 1000,
      runAsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(containerOf(component).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(containerOf(component).volumeMounts).toEqual([{ name: 'tmp', mountPath: '/tmp' }])
    expect(spec.volumes).toEqual([{ name: 'tmp', emptyDir: { sizeLimit: '16Mi' } }])
  })

  test('the supervisor alone has a token, which is good for executors alone', () => {
    const withToken = components.filter((one) => podOf(one).spec.automountServiceAccountToken)
    expect(withToken).toEqual(['supervisor'])
    expect(podOf('supervisor').spec.serviceAccountName).toBe('millrace-supervisor')
    expect(named('Role', 'millrace-supervisor')!.rules).toEqual([
      {
        apiGroups: [''],
        resources: ['podtemplates'],
        resourceNames: ['millrace-executor'],
        verbs: ['get'],
      },
      { apiGroups: [''], resources: ['pods'], verbs: ['list', 'create', 'delete'] },
    ])
    expect(objects.filter(({ kind }) => /^(Cluster)?Role$/.test(kind))).toHaveLength(1)
  })

  test('the token of control calls comes from a secret, and to the page alone', () => {
    const secrets = components.flatMap((component) =>
      containerOf(component)
        .env.filter(({ valueFrom }) => valueFrom)
        .map(({ name }) => [component, name]),
    )
    expect(secrets).toEqual([['web', 'MILLRACE_TOKEN']])
  })

  test('each has a policy for what it reaches, and the page alone is reached', () => {
    const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy')
    const spoken = Object.fromEntries(
      policies.map((policy) => {
        const { ingress, egress, podSelector, policyTypes } = policy.spec as {
          ingress?: unknown
          policyTypes: string[]
          egress: { ports: { port: number }[] }[]
          podSelector: { matchLabels: Record<string, string> }
        }
        expect(policyTypes).toEqual(['Ingress', 'Egress'])
        const component = podSelector.matchLabels['app.kubernetes.io/component']!
        expect(podOf(component).metadata.labels).toMatchObject(podSelector.matchLabels)
        const ports = egress.flatMap((rule) => rule.ports.map(({ port }) => port))
        return [component, { reached: ingress !== undefined, ports: [...new Set(ports)] }]
      }),
    )
    expect(spoken).toEqual({
      bridge: { reached: false, ports: [53, 6379, 9092] },
      executor: { reached: false, ports: [53, 6379] },
      supervisor: { reached: false, ports: [53, 6379, 9092, 443, 6443] },
      web: { reached: true, ports: [53, 6379, 9092] },
    })
  })
})

describe('what pods are told is ours', () => {
  test.each(components)(
    '%s: its command has these flags, its settings are allowed',
    (component) => {
      const { args, env } = containerOf(component)
      const [name, ...rest] = args
      const asked = [process.execPath, join(root, 'cli/main.ts'), name!, DESCRIBE]
      const { options } = JSON.parse(Bun.spawnSync(asked).stdout.toString()) as { options: object }
      const known = Object.keys(options)
      const flags = rest.filter((word) => word.startsWith('--')).map((word) => word.slice(2))
      expect(flags.filter((flag) => !known.includes(flag))).toEqual([])
      const told = env.map((one) => [one.name, one.value ?? 'from-a-secret'])
      expect(() => readConfig(Object.fromEntries(told))).not.toThrow()
    },
  )

  test('the supervisor starts executors from the template that is there, and nobody else', () => {
    const { args, env } = containerOf('supervisor')
    expect(args).toContain('kubernetes')
    expect(args[args.indexOf('--without') + 1]).toBe('bridge,sinks,web')
    const template = env.find(({ name }) => name === 'MILLRACE_POD_TEMPLATE')!.value!
    expect(named('PodTemplate', template)).toBeDefined()
  })

  test('the service leads to the page, which lets its names in', () => {
    const { selector } = named('Service', 'millrace-web')!.spec as { selector: object }
    expect(podOf('web').metadata.labels).toMatchObject(selector)
    expect(containerOf('web').args).toContain('millrace-web.millrace.svc')
    expect(containerOf('web').livenessProbe.httpGet?.path).toBe('/healthz')
  })
})

describe('the times agree', () => {
  const graceMs = (component: string) => podOf(component).spec.terminationGracePeriodSeconds * 1_000

  test('a supervisor is given longer than it gives its executors', () => {
    // Asked by mailbox, then SIGTERM; then they are killed.
    expect(graceMs('supervisor')).toBeGreaterThan(2 * bounds.drainGraceMs)
  })

  test('an executor has the time of a record’s work, and a drain', () => {
    const workTimeoutMs = 30_000
    expect(graceMs('executor')).toBeGreaterThan(workTimeoutMs + bounds.drainGraceMs)
  })

  test('executors are ended by the supervisor before they are by the kernel', () => {
    const { env } = containerOf('supervisor')
    const most = Number(env.find(({ name }) => name === 'EXECUTOR_MEMORY_MAX_MIB')!.value)
    expect(Number.parseInt(containerOf('executor').resources.limits.memory, 10)).toBeGreaterThan(
      most,
    )
  })
})

describe('the probe of those that serve nothing', () => {
  const probe = containerOf('executor').livenessProbe.exec!.command
  const file = join(folder, 'alive')
  const ask = () => {
    const [shell, flag, script] = probe
    return Bun.spawnSync([shell!, flag!, script!.replaceAll('/tmp/alive', file)]).exitCode
  }

  test('waits for the first heartbeat, then for the next, and no longer', () => {
    expect(containerOf('executor').env).toContainEqual(
      expect.objectContaining({ name: 'MILLRACE_ALIVE_FILE', value: '/tmp/alive' }),
    )
    expect(ask()).toBe(0)
    writeFileSync(file, '')
    expect(ask()).toBe(0)
    const aMinuteAgo = systemClock.now() / 1_000 - 60
    utimesSync(file, aMinuteAgo, aMinuteAgo)
    expect(ask()).toBe(1)
  })
})
