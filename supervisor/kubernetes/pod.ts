/**
 * A pod as far as a fleet is concerned: how one is made from its template, and what it says of its end
 * or of why it does not begin. Pure.
 */
import { constants } from 'node:os'
import * as v from 'valibot'
import type { Exit } from '../child.ts'

/** What we write on each pod, to find it again. */
export const labels = {
  /** The pod template that it was made from. */
  template: 'millrace.dev/template',
  /** As the template was then. */
  revision: 'millrace.dev/revision',
  /** It waits to be let begin. */
  warm: 'millrace.dev/warm',
} as const

const text = v.optional(v.string(), '')
const named = v.optional(v.record(v.string(), v.string()), {})

const stateSchema = v.object({
  waiting: v.optional(v.object({ reason: text, message: text })),
  running: v.optional(v.object({ startedAt: text })),
  terminated: v.optional(
    v.object({ exitCode: v.number(), signal: v.optional(v.number()), reason: text, message: text }),
  ),
})

export const podSchema = v.object({
  metadata: v.object({
    name: v.string(),
    uid: text,
    labels: named,
    deletionTimestamp: v.optional(v.string()),
  }),
  /** Where it was placed; '' before that. */
  spec: v.optional(v.object({ nodeName: text }), {}),
  status: v.optional(
    v.object({
      phase: text,
      reason: text,
      message: text,
      conditions: v.optional(
        v.array(v.object({ type: v.string(), status: v.string(), reason: text, message: text })),
        [],
      ),
      containerStatuses: v.optional(
        v.array(v.object({ name: text, state: v.optional(stateSchema, {}) })),
        [],
      ),
    }),
    {},
  ),
})
export type Pod = v.InferOutput<typeof podSchema>

/** What we do not read goes into the pod as it is. */
const containerSchema = v.looseObject({ name: v.string(), args: v.optional(v.array(v.string())) })
export const templateSchema = v.object({
  metadata: v.object({ name: v.string(), uid: v.string() }),
  template: v.object({
    metadata: v.optional(v.object({ labels: named, annotations: named }), {}),
    spec: v.looseObject({
      containers: v.pipe(v.array(containerSchema), v.minLength(1, 'it has no container')),
    }),
  }),
})
export type Template = v.InferOutput<typeof templateSchema>

export type Manifest = ReturnType<typeof podFrom>

/**
 * The pod of one executor: the template's, with its own name, which the first container is told as `--id`.
 * The template owns it, so that it goes when that goes (`helm uninstall`), and so that `kubectl drain`
 * takes it for one that somebody looks after. It never restarts by itself: another takes its place.
 */
export function podFrom({ metadata, template }: Template, id: string, warm: boolean) {
  const [executor, ...beside] = template.spec.containers
  const args = [...(executor!.args ?? []), '--id', id, ...(warm ? ['--warm'] : [])]
  const { name, uid } = metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: id,
      labels: {
        ...template.metadata.labels,
        [labels.template]: name,
        [labels.revision]: revisionOf(template),
        ...(warm && { [labels.warm]: 'true' }),
      },
      annotations: template.metadata.annotations ?? {},
      ownerReferences: [{ apiVersion: 'v1', kind: 'PodTemplate', name, uid, controller: true }],
    },
    spec: {
      ...template.spec,
      restartPolicy: 'Never',
      containers: [{ ...executor!, args }, ...beside],
    },
  }
}

/** What a template says, in a few characters. */
export const revisionOf = (template: Template['template']): string =>
  Bun.hash(JSON.stringify(template)).toString(16)

/** How it ended; null while it has not. */
export function exitOf({ status }: Pod): Exit | null {
  const { phase, reason, message, containerStatuses } = status
  if (phase !== 'Succeeded' && phase !== 'Failed') return null
  const ended = containerStatuses[0]?.state.terminated
  // The node took it, and says why: evicted, shut down, preempted.
  if (phase === 'Failed' && (reason || !ended)) return byCluster(`${reason}: ${message}`)
  if (!ended) return { code: 0, signal: null, lastLine: '' }
  const { exitCode, signal = exitCode - 128 } = ended
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0]
  if (ended.reason === 'OOMKilled') return byCluster('OOMKilled: over its memory limit')
  if (name) return { code: null, signal: name, lastLine: lastLineOf(ended.message) }
  return { code: exitCode, signal: null, lastLine: lastLineOf(ended.message) }
}

/** For a pod that is not there any more, and never said how it ended. */
export const vanished: Exit = byCluster('its pod was removed')

function byCluster(why: string): Exit {
  return { code: null, signal: `the cluster (${why.replace(/:? *$/, '')})`, lastLine: '' }
}

/** When its container began, epoch ms; null before that. */
export function begunAt({ status }: Pod): number | null {
  const at = Date.parse(status.containerStatuses[0]?.state.running?.startedAt ?? '')
  return Number.isNaN(at) ? null : at
}

const onItsWay: readonly string[] = ['', 'ContainerCreating', 'PodInitializing']

/** Why it does not begin; null where nothing is known against it. */
export function troubleOf({ status }: Pod): string | null {
  const { conditions, containerStatuses } = status
  const told = ({ reason, message }: { reason: string; message: string }) =>
    message ? `${reason}: ${message}` : reason
  const waiting = containerStatuses.map(({ state }) => state.waiting)
  const held = waiting.find((one) => one && !onItsWay.includes(one.reason))
  if (held) return told(held)
  const unplaced = conditions.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  )
  return unplaced ? told(unplaced) : null
}

/** With `terminationMessagePolicy: FallbackToLogsOnError` the message is the end of its log. */
function lastLineOf(message: string): string {
  const lines = message.split('\n').filter((line) => line.trim() !== '')
  const said = lines.filter((line) => !/^(\s+at |Bun v\d)/.test(line))
  return said.at(-1) ?? ''
}
