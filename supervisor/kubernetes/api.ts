/**
 * What a supervisor asks of Kubernetes: one pod template, and the pods that were made from it. The one file
 * that talks to its API; the service account's role needs no more than these verbs.
 *
 *   get podtemplates (one, by name) · list, create, delete pods
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { messageOf, UsageError } from '../../actors/errors.ts'
import { type Manifest, type Pod, podSchema, type Template, templateSchema } from './pod.ts'

/** Where a pod finds its service account. */
const ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount'

/** An answer that takes longer is none; the next look asks again. */
const ANSWER_MS = 5_000

/** Pods of one answer; a fleet has 64 executors at the most, and as many that are about to go. */
const PODS_MAX = 500

export interface Account {
  /** https://host:port of the API server. */
  url: string
  namespace: string
  /** Read at each call: the kubelet puts a new one there before it runs out. */
  token: () => string
  /** The certificate authority that the server's certificate is from. */
  ca: string
}

/** The API did not do what was asked; `again` where the same call may succeed later. */
export class ClusterError extends Error {
  override name = 'ClusterError'
  readonly again: boolean
  /** HTTP status; null where no answer came. */
  readonly status: number | null

  constructor(message: string, status: number | null, cause?: unknown) {
    super(message, { cause })
    this.status = status
    this.again = status === null || status === 429 || status >= 500
  }
}

/** Whoever lists, makes and removes the pods of one template. */
export interface Cluster {
  template(): Promise<Template>
  list(): Promise<Pod[]>
  /** False where a pod of that name is there already. */
  create(manifest: Manifest): Promise<boolean>
  /** Asks it to end, within its own grace or the one given, in seconds; one that is gone is gone. */
  remove(name: string, graceSeconds?: number): Promise<void>
}

/**
 * The service account of the pod that we are in.
 * @throws UsageError where we are in none
 */
export function readAccount(environment: Record<string, string | undefined>): Account {
  const folder = environment.MILLRACE_SERVICE_ACCOUNT || ACCOUNT_FOLDER
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment
  const read = (name: string) => readFileSync(join(folder, name), 'utf8').trim()
  try {
    if (!host) throw new Error('KUBERNETES_SERVICE_HOST is not set')
    const address = host.includes(':') ? `[${host}]` : host
    const account = { url: `https://${address}:${port}`, namespace: read('namespace') }
    read('token')
    return { ...account, token: () => read('token'), ca: read('ca.crt') }
  } catch (error) {
    throw new UsageError(
      `--fleet kubernetes works in a pod with a service account only: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/** The pods of the pod template `name`, over HTTPS. */
export function openCluster(account: Account, name: string, label: string): Cluster {
  const { namespace } = account
  const path = `/api/v1/namespaces/${namespace}`
  const pods = `${path}/pods`
  const listSchema = v.object({ items: v.array(podSchema) })
  return {
    async template() {
      const answer = await call(account, 'GET', `${path}/podtemplates/${name}`)
      return parse(templateSchema, answer, `the pod template ${name}`)
    },
    async list() {
      const query = new URLSearchParams({ labelSelector: `${label}=${name}`, limit: `${PODS_MAX}` })
      const answer = await call(account, 'GET', `${pods}?${query}`)
      return parse(listSchema, answer, 'the list of pods').items
    },
    async create(manifest) {
      try {
        await call(account, 'POST', pods, manifest)
        return true
      } catch (error) {
        if (error instanceof ClusterError && error.status === 409) return false
        throw error
      }
    },
    async remove(pod, graceSeconds) {
      const options = graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }
      try {
        await call(account, 'DELETE', `${pods}/${pod}`, options)
      } catch (error) {
        if (!(error instanceof ClusterError && error.status === 404)) throw error
      }
    },
  }
}

async function call(
  { url, token, ca }: Account,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  let response: Response
  let text: string
  try {
    response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token()}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
      redirect: 'error',
      tls: { ca },
    })
    text = await response.text()
  } catch (error) {
    throw new ClusterError(`Kubernetes does not answer at ${url}: ${messageOf(error)}`, null, error)
  }
  if (response.ok) return jsonOf(text)
  throw new ClusterError(`Kubernetes refuses: ${refusal(text, response.status)}`, response.status)
}

/** A refusal is a `Status` whose message names the verb, the resource and why. */
function refusal(text: string, status: number): string {
  const parsed = v.safeParse(v.object({ message: v.string() }), jsonOf(text))
  return parsed.success ? messageOf(parsed.output.message) : `status ${status}`
}

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  answer: unknown,
  what: string,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, answer)
  if (parsed.success) return parsed.output
  throw new ClusterError(`Kubernetes: ${what} is not as expected: ${parsed.issues[0].message}`, 500)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
