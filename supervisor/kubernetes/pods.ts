/**
 * Executors as pods: what fleet and ward start, signal and wait for as children, kept in a cluster. One loop
 * compares what is wanted with what is there, about once a second and at once when something is wanted:
 *
 *   wanted: spawn · signal ──► look: create what is missing → list → end what has ended → remove
 *
 * Level-triggered: each look begins with a fresh list, so that a lost event, an answer that never came or a
 * restart of ours costs one look. Pods outlive us; those that nobody here knows are told as `orphans`, and
 * whoever leads adopts them. While the API does not answer, everything stays as it is.
 */
import type { Clock } from '../../actors/clock.ts'
import { messageOf } from '../../actors/errors.ts'
import { newActorId } from '../../actors/lifecycle.ts'
import type { Log } from '../../actors/log.ts'
import type { Child, Exit, Foundlings, Orphan } from '../child.ts'
import { Pulse } from '../pulse.ts'
import { type Cluster, ClusterError } from './api.ts'
import {
  begunAt,
  exitOf,
  labels,
  type Pod,
  podFrom,
  revisionOf,
  type Template,
  troubleOf,
  vanished,
} from './pod.ts'

export interface PodsOptions {
  cluster: Cluster
  clock: Clock
  log: Log
  /** Between two looks while there are pods of ours; a second by default. */
  lookMs?: number
}

const times = {
  lookMs: 1_000,
  /** Without a pod that is ours: only others' could come to be orphans. */
  idleLookMs: 5_000,
  leastMs: 25,
  /** A pod may need so long to begin before somebody is told. */
  patienceMs: 15_000,
} as const

/** How far a pod is asked to go. */
type Wanted = 'here' | 'gone' | 'killed'

interface Tracked {
  child: Child
  warm: boolean
  pod: Pod | null
  /** When Kubernetes had it, by the monotonic clock; null before that. */
  createdAt: number | null
  wanted: Wanted
  /** Its container began; epoch ms. */
  begunAt: number | null
  ended: boolean
  end: (exit: Exit) => void
}

export class Pods implements Foundlings {
  readonly #options: PodsOptions
  readonly #tracked = new Map<string, Tracked>()
  readonly #pulse: Pulse
  #strangers: Pod[] = []
  #template: Template | null = null
  #trouble: string | null = null
  #closed = false

  constructor(options: PodsOptions) {
    this.#options = options
    this.#pulse = new Pulse(options.clock)
  }

  /** A pod that will be made: its end is told like a process's, also where it could not be made. */
  spawn(warm: boolean): Child {
    const id = newActorId('executor', this.#options.clock)
    const { child } = this.#track(id, warm, null)
    this.#pulse.wake()
    return child
  }

  orphans(): Orphan[] {
    return this.#strangers.map(({ metadata }) => ({
      id: metadata.name,
      warm: labels.warm in metadata.labels,
    }))
  }

  adopt({ id, warm }: Orphan): Child {
    const pod = this.#strangers.find(({ metadata }) => metadata.name === id)
    this.#strangers = this.#strangers.filter((one) => one !== pod)
    const tracked = this.#track(id, warm, this.#options.clock.elapsed())
    if (pod) this.#tell(tracked, pod)
    return tracked.child
  }

  /** What keeps executors from beginning, for people; null for nothing. */
  get trouble(): string | null {
    if (this.#trouble !== null) return this.#trouble
    const late = this.#options.clock.elapsed() - times.patienceMs
    for (const { child, pod, createdAt, ended, begunAt: begun } of this.#tracked.values()) {
      if (ended || begun !== null || createdAt === null || createdAt > late) continue
      const why = pod && troubleOf(pod)
      if (why) return `${child.id} can't begin: ${why}`
    }
    return null
  }

  /** Looks until `close`. */
  async run(): Promise<void> {
    while (!this.#closed) {
      await this.look()
      const { lookMs = times.lookMs } = this.#options
      const ms = this.#tracked.size > 0 ? lookMs : Math.max(lookMs, times.idleLookMs)
      if (!this.#closed) await this.#pulse.pause(ms, times.leastMs)
    }
    // What was wanted last.
    await this.look()
  }

  close(): void {
    this.#closed = true
    this.#pulse.wake()
  }

  /** One look; an API that does not answer, or refuses, is told once and asked again at the next. */
  async look(): Promise<void> {
    try {
      await this.#create()
      await this.#observe()
      await this.#remove()
      this.#trouble = null
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error
      const trouble = messageOf(error)
      if (trouble !== this.#trouble) this.#options.log.warn('the cluster', { error: trouble })
      this.#trouble = trouble
    }
  }

  async #create(): Promise<void> {
    const { cluster, clock } = this.#options
    const missing = [...this.#tracked.values()].filter(({ createdAt }) => createdAt === null)
    if (missing.length > 0) this.#template = await cluster.template()
    for (const one of missing) {
      const { child, warm, wanted } = one
      if (wanted !== 'here') {
        this.#forget(one, { code: 0, signal: null, lastLine: '' })
        continue
      }
      try {
        await cluster.create(podFrom(this.#template!, child.id, warm))
        one.createdAt = clock.elapsed()
      } catch (error) {
        if (!(error instanceof ClusterError) || error.again) throw error
        // As a program that can't be started: counted, and tried again ever more seldom.
        this.#forget(one, { code: 1, signal: null, lastLine: messageOf(error) })
      }
    }
  }

  async #observe(): Promise<void> {
    const { cluster, clock } = this.#options
    const asked = clock.elapsed()
    if (this.#tracked.size > 0) this.#template = await cluster.template()
    const pods = new Map((await cluster.list()).map((pod) => [pod.metadata.name, pod]))
    for (const one of this.#tracked.values()) {
      const pod = pods.get(one.child.id)
      pods.delete(one.child.id)
      if (pod) this.#tell(one, pod)
      else if (one.createdAt !== null && one.createdAt < asked) this.#forget(one, vanished)
    }
    this.#strangers = [...pods.values()].filter(({ metadata }) => !metadata.deletionTimestamp)
  }

  async #remove(): Promise<void> {
    for (const { child, pod, wanted } of this.#tracked.values()) {
      if (!pod || wanted === 'here') continue
      if (wanted === 'killed') await this.#options.cluster.remove(child.id, 0)
      else if (!pod.metadata.deletionTimestamp) await this.#options.cluster.remove(child.id)
    }
  }

  #tell(one: Tracked, pod: Pod): void {
    one.pod = pod
    one.begunAt ??= begunAt(pod)
    const exit = exitOf(pod)
    if (!exit || one.ended) return
    one.ended = true
    // Its account is in Redis by now; what is left is an object in the cluster.
    if (one.wanted === 'here') one.wanted = 'gone'
    one.end(exit)
  }

  #forget(one: Tracked, exit: Exit): void {
    this.#tracked.delete(one.child.id)
    one.end(exit)
  }

  #track(id: string, warm: boolean, createdAt: number | null): Tracked {
    const { clock } = this.#options
    const { promise: exited, resolve: end } = Promise.withResolvers<Exit>()
    const want = (wanted: Wanted) => {
      tracked.wanted = wanted
      this.#pulse.wake()
    }
    const child: Child = {
      id,
      kind: 'executor',
      pid: 0,
      // A pod that waits for a node, or for its image, is not slow to begin.
      get startedAt() {
        return tracked.begunAt ?? clock.now()
      },
      exited,
      signal: (name) => want(name === 'SIGKILL' ? 'killed' : 'gone'),
      elsewhere: {
        host: id,
        machine: () => tracked.pod?.spec.nodeName || null,
        hasBegun: () => tracked.begunAt !== null,
        leaving: () => (tracked.pod?.metadata.deletionTimestamp ? 'its pod is about to go' : null),
        isOutdated: () => this.#isOutdated(tracked),
        release: () => this.#forget(tracked, vanished),
      },
    }
    const tracked: Tracked = {
      child,
      warm,
      pod: null,
      createdAt,
      wanted: 'here',
      begunAt: null,
      ended: false,
      end,
    }
    this.#tracked.set(id, tracked)
    return tracked
  }

  /** Its template says something else by now. */
  #isOutdated({ pod }: Tracked): boolean {
    const revision = pod?.metadata.labels[labels.revision]
    if (revision === undefined || !this.#template) return false
    return revision !== revisionOf(this.#template.template)
  }
}
