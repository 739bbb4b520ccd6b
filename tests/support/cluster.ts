/**
 * A stand-in for Kubernetes's API server, as far as a supervisor and the tests' kubelet use it: one namespace,
 * one pod template, pods. It answers in the API's own forms, and can be told to refuse or to say nothing.
 */
import type { Account } from '../../supervisor/kubernetes/api.ts'

export interface PodObject {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    uid?: string
    labels?: Record<string, string>
    deletionTimestamp?: string
    deletionGracePeriodSeconds?: number
    [field: string]: unknown
  }
  spec: {
    nodeName?: string
    terminationGracePeriodSeconds?: number
    containers: { name: string; image: string; args?: string[]; env?: unknown[] }[]
    [field: string]: unknown
  }
  status: Record<string, unknown>
}

export interface FakeCluster {
  account: Account
  pods: Map<string, PodObject>
  /** What pods are made from; changed, it is another revision. */
  template: { metadata: { name: string; uid: string }; template: Record<string, unknown> }
  /** `POST /api/v1/…` of each request, without those of the kubelet. */
  calls: string[]
  /** Answers creations so, as long as it is set. */
  refusal: { status: number; message: string } | null
  /** Answers everything with 503, as long as it is set. */
  away: boolean
  stop: () => Promise<void>
}

const namespace = 'streams'
const token = 'a-service-accounts-token'
const path = `/api/v1/namespaces/${namespace}`

export interface FakeClusterOptions {
  template: { name: string; args: string[] }
  tls?: { key: string; cert: string }
}

export function fakeCluster({ template, tls }: FakeClusterOptions): FakeCluster {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    ...(tls && { tls }),
    fetch: (request) => answer(cluster, request),
  })
  const container = { name: 'executor', image: 'millrace:test', args: template.args }
  const cluster: FakeCluster = {
    account: {
      url: server.url.href.replace(/\/$/, ''),
      namespace,
      token: () => token,
      ca: tls?.cert ?? '',
    },
    pods: new Map(),
    template: {
      metadata: { name: template.name, uid: 'uid-of-the-template' },
      template: {
        metadata: { labels: { 'app.kubernetes.io/component': 'executor' } },
        spec: { terminationGracePeriodSeconds: 5, containers: [container] },
      },
    },
    calls: [],
    refusal: null,
    away: false,
    stop: () => server.stop(true),
  }
  return cluster
}

async function answer(cluster: FakeCluster, request: Request): Promise<Response> {
  const url = new URL(request.url)
  const isKubelet = request.headers.get('user-agent') === 'kubelet'
  if (!isKubelet) cluster.calls.push(`${request.method} ${url.pathname}`)
  if (cluster.away && !isKubelet) return status(503, 'the server is currently unable to handle it')
  if (request.headers.get('authorization') !== `Bearer ${token}`) return status(401, 'Unauthorized')
  const [resource, name = '', sub = ''] = url.pathname.slice(path.length + 1).split('/')
  if (!url.pathname.startsWith(`${path}/`)) return status(403, `${url.pathname} is forbidden`)
  if (resource === 'podtemplates' && request.method === 'GET') {
    const { template } = cluster
    return template.metadata.name === name
      ? Response.json({ apiVersion: 'v1', kind: 'PodTemplate', ...template })
      : status(404, `podtemplates "${name}" not found`)
  }
  if (resource !== 'pods') return status(403, `${resource} is forbidden`)
  switch (`${request.method} ${sub}`) {
    case 'GET ':
      return list(cluster, url.searchParams.get('labelSelector') ?? '')
    case 'POST ':
      return create(cluster, (await request.json()) as PodObject)
    case 'DELETE ':
      return remove(cluster, name, (await request.json()) as { gracePeriodSeconds?: number })
    case 'POST binding':
      return change(cluster, name, (pod) => (pod.spec.nodeName = 'here'))
    case 'PATCH status': {
      const patch = (await request.json()) as Pick<PodObject, 'status'>
      return change(cluster, name, (pod) => (pod.status = { ...pod.status, ...patch.status }))
    }
    default:
      return status(405, 'the server does not allow this method')
  }
}

function list({ pods }: FakeCluster, selector: string): Response {
  const [label = '', value] = selector.split('=')
  const chosen = [...pods.values()].filter(({ metadata }) => metadata.labels?.[label] === value)
  return Response.json({ kind: 'PodList', items: selector === '' ? [...pods.values()] : chosen })
}

function create(cluster: FakeCluster, pod: PodObject): Response {
  if (cluster.refusal) return status(cluster.refusal.status, cluster.refusal.message)
  const { name } = pod.metadata
  if (cluster.pods.has(name)) return status(409, `pods "${name}" already exists`)
  pod.metadata.uid = crypto.randomUUID()
  pod.status = { phase: 'Pending' }
  cluster.pods.set(name, pod)
  return Response.json(pod, { status: 201 })
}

/** As the real one: who runs on a node goes when the node says so, or at once where no grace is left. */
function remove(cluster: FakeCluster, name: string, asked: { gracePeriodSeconds?: number }) {
  const pod = cluster.pods.get(name)
  if (!pod) return status(404, `pods "${name}" not found`)
  const grace = asked.gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
  if (grace === 0 || !pod.spec.nodeName) cluster.pods.delete(name)
  pod.metadata.deletionTimestamp ??= new Date().toISOString()
  pod.metadata.deletionGracePeriodSeconds = grace
  return Response.json(pod)
}

function change(cluster: FakeCluster, name: string, apply: (pod: PodObject) => void): Response {
  const pod = cluster.pods.get(name)
  if (!pod) return status(404, `pods "${name}" not found`)
  apply(pod)
  return Response.json(pod)
}

function status(code: number, message: string): Response {
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code }
  return Response.json(body, { status: code })
}
