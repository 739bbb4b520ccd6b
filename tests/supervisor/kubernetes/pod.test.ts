import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { exitReason } from '../../../supervisor/child.ts'
import {
  begunAt,
  exitOf,
  labels,
  podFrom,
  podSchema,
  revisionOf,
  type Template,
  templateSchema,
  troubleOf,
} from '../../../supervisor/kubernetes/pod.ts'

const template: Template = v.parse(templateSchema, {
  metadata: { name: 'rooms-executor', uid: 'u-1', resourceVersion: '7' },
  template: {
    metadata: { labels: { app: 'rooms' }, annotations: { why: 'because' } },
    spec: {
      restartPolicy: 'Always',
      nodeSelector: { disk: 'ssd' },
      containers: [
        { name: 'executor', image: 'millrace:1', args: ['executor', 'jobs/rooms.ts'] },
        { name: 'beside', image: 'other:1', args: ['x'] },
      ],
    },
  },
})

describe('a pod is made from its template', () => {
  const pod = podFrom(template, 'executor-1', false)

  test('with a name of its own, which its first container is told', () => {
    expect(pod.metadata.name).toBe('executor-1')
    expect(pod.spec.containers.map(({ args }) => args)).toEqual([
      ['executor', 'jobs/rooms.ts', '--id', 'executor-1'],
      ['x'],
    ])
    expect(podFrom(template, 'executor-1', true).spec.containers[0]?.args?.slice(2)).toEqual([
      '--id',
      'executor-1',
      '--warm',
    ])
  })

  test('owned by it, never started again, otherwise as it says', () => {
    expect(pod.metadata.ownerReferences).toEqual([
      {
        apiVersion: 'v1',
        kind: 'PodTemplate',
        name: 'rooms-executor',
        uid: 'u-1',
        controller: true,
      },
    ])
    expect(pod.spec).toMatchObject({ restartPolicy: 'Never', nodeSelector: { disk: 'ssd' } })
    expect(pod.metadata.annotations).toEqual({ why: 'because' })
  })

  test('with labels by which it is found, and by which it is known to be outdated', () => {
    const revision = revisionOf(template.template)
    expect<Record<string, string>>(pod.metadata.labels).toEqual({
      app: 'rooms',
      [labels.template]: 'rooms-executor',
      [labels.revision]: revision,
    })
    expect(podFrom(template, 'x', true).metadata.labels).toHaveProperty([labels.warm], 'true')
    const other = structuredClone(template)
    other.template.spec.containers[0]!.image = 'millrace:2'
    expect(revisionOf(other.template)).not.toBe(revision)
  })

  test('a template without a container is named as such', () => {
    const parsed = v.safeParse(templateSchema, {
      metadata: { name: 'x', uid: 'y' },
      template: { spec: { containers: [] } },
    })
    expect(parsed.issues?.[0]?.message).toBe('it has no container')
  })
})

const pod = (status: Record<string, unknown>) =>
  v.parse(podSchema, { metadata: { name: 'executor-1' }, status })
const ended = (phase: string, terminated: Record<string, unknown>) =>
  pod({ phase, containerStatuses: [{ name: 'executor', state: { terminated } }] })

describe('its end is told as a process’s', () => {
  const cases: [string, ReturnType<typeof pod>, string][] = [
    ['in order', ended('Succeeded', { exitCode: 0 }), 'ended without taking its leave'],
    [
      'with what it said last',
      ended('Failed', { exitCode: 1, message: 'one\nexecutor: no such job\n    at x.ts:1\n\n' }),
      'no such job (exit code 1)',
    ],
    ['by a signal', ended('Failed', { exitCode: 137, reason: 'Error' }), 'killed by SIGKILL'],
    ['by a signal that is told', ended('Failed', { exitCode: 1, signal: 11 }), 'killed by SIGSEGV'],
    [
      'out of memory',
      ended('Failed', { exitCode: 137, reason: 'OOMKilled' }),
      'killed by the cluster (OOMKilled: over its memory limit)',
    ],
    [
      'evicted before it ran',
      pod({ phase: 'Failed', reason: 'Evicted', message: 'the node was low on memory' }),
      'killed by the cluster (Evicted: the node was low on memory)',
    ],
  ]
  for (const [name, one, reason] of cases) {
    test(name, () => expect(exitReason('executor', exitOf(one)!)).toBe(reason))
  }

  test('and not before it has ended', () => {
    const states = ['Pending', 'Running', 'Unknown'].map((phase) => exitOf(pod({ phase })))
    expect(states).toEqual([null, null, null])
    expect(exitOf(v.parse(podSchema, { metadata: { name: 'x' } }))).toBeNull()
  })
})

describe('why it does not begin', () => {
  const waiting = (reason: string, message?: string) =>
    pod({
      phase: 'Pending',
      containerStatuses: [{ name: 'executor', state: { waiting: { reason, message } } }],
    })

  test('no node, in the scheduler’s words', () => {
    const message = '0/3 nodes are available: 3 Insufficient cpu.'
    const unplaced = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }
    expect(troubleOf(pod({ phase: 'Pending', conditions: [unplaced] }))).toBe(
      `Unschedulable: ${message}`,
    )
    expect(troubleOf(pod({ conditions: [{ ...unplaced, status: 'True' }] }))).toBeNull()
  })

  test('no image; on its way is no trouble', () => {
    expect(troubleOf(waiting('ImagePullBackOff', 'Back-off pulling'))).toBe(
      'ImagePullBackOff: Back-off pulling',
    )
    expect(troubleOf(waiting('ContainerCreating'))).toBeNull()
  })

  test('when it began is known from its container', () => {
    const at = '2026-11-26T08:00:00Z'
    const running = pod({
      phase: 'Running',
      containerStatuses: [{ name: 'executor', state: { running: { startedAt: at } } }],
    })
    expect(begunAt(running)).toBe(Date.parse(at))
    expect(begunAt(waiting('ContainerCreating'))).toBeNull()
  })
})
