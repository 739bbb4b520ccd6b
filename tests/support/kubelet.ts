/**
 * A node of a cluster whose containers are processes of this machine: it takes pods, starts what they say in
 * place of their image's program, tells their state, and ends them with SIGTERM, their grace, and SIGKILL.
 * It speaks to the API like a kubelet (binding, status, deletion), so that the API may be a real one.
 */
import type { Subprocess } from 'bun'
import { systemClock } from '../../actors/clock.ts'
import type { Account } from '../../supervisor/kubernetes/api.ts'
import type { PodObject } from './cluster.ts'

export interface KubeletOptions {
  account: Account
  /** What stands for the image's entry point; the container's args come behind it. */
  program: string[]
  environment: Record<string, string | undefined>
  /** Of the pods that it takes; all by default. */
  selector?: string
}

interface Running {
  process: Subprocess
  output: Promise<string>
  askedAt: number | null
  told: boolean
}

export class Kubelet {
  readonly running = new Map<string, Running>()
  /** While it is set, pods wait for a node. */
  full = false
  readonly #options: KubeletOptions
  readonly #ended = new AbortController()
  #work: Promise<void> = Promise.resolve()

  constructor(options: KubeletOptions) {
    this.#options = options
  }

  start(): void {
    this.#work = this.#run()
  }

  /** Ends its processes at once, as a node that loses its power. */
  async stop(): Promise<void> {
    this.#ended.abort()
    await this.#work
    for (const { process } of this.running.values()) process.kill('SIGKILL')
    await Promise.all([...this.running.values()].map(({ process }) => process.exited))
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#sync()
      await systemClock.sleep(20, this.#ended.signal)
    }
  }

  async #sync(): Promise<void> {
    const selector = encodeURIComponent(this.#options.selector ?? '')
    const list = (await this.#call('GET', `?labelSelector=${selector}`)) as { items: PodObject[] }
    const seen = new Set(list.items.map(({ metadata }) => metadata.name))
    for (const pod of list.items) await this.#serve(pod)
    // Removed without grace: what runs for it is nobody's.
    for (const [name, { process }] of this.running) {
      if (seen.has(name)) continue
      process.kill('SIGKILL')
      await process.exited
      this.running.delete(name)
    }
  }

  async #serve(pod: PodObject): Promise<void> {
    const { name } = pod.metadata
    const one = this.running.get(name)
    if (!one) {
      if (pod.metadata.deletionTimestamp) await this.#gone(name)
      else if (pod.status.phase === 'Pending' && !this.full) await this.#begin(pod)
      return
    }
    if (one.process.exitCode !== null || one.process.signalCode !== null) {
      if (!one.told) await this.#tellEnd(name, one)
      if (pod.metadata.deletionTimestamp) {
        this.running.delete(name)
        await this.#gone(name)
      }
      return
    }
    if (pod.metadata.deletionTimestamp) this.#end(pod, one)
  }

  async #begin(pod: PodObject): Promise<void> {
    const { name } = pod.metadata
    if (!pod.spec.nodeName) {
      const target = { apiVersion: 'v1', kind: 'Node', name: 'here' }
      const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target }
      await this.#call('POST', `/${name}/binding`, binding)
    }
    const [container] = pod.spec.containers
    const { program, environment } = this.#options
    const process = Bun.spawn([...program, ...(container?.args ?? [])], {
      env: environment,
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
    })
    const output = new Response(process.stderr).text()
    this.running.set(name, { process, output, askedAt: null, told: false })
    const state = { running: { startedAt: new Date().toISOString() } }
    await this.#tell(name, 'Running', container!, state)
  }

  #end({ metadata, spec }: PodObject, one: Running): void {
    const now = systemClock.elapsed()
    if (one.askedAt === null) one.process.kill('SIGTERM')
    one.askedAt ??= now
    const grace = metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30
    if (now - one.askedAt > grace * 1_000) one.process.kill('SIGKILL')
  }

  /** A process that a signal ended has the exit code 128 and the signal's number, as a container has. */
  async #tellEnd(name: string, one: Running): Promise<void> {
    one.told = true
    const { exitCode, signalCode } = one.process
    const code = exitCode ?? (signalCode === 'SIGKILL' ? 137 : 143)
    const message = code === 0 ? '' : (await one.output).slice(-2_048)
    const terminated = { exitCode: code, reason: code === 0 ? 'Completed' : 'Error', message }
    const phase = code === 0 ? 'Succeeded' : 'Failed'
    await this.#tell(name, phase, { name: 'executor', image: '' }, { terminated })
  }

  async #tell(
    name: string,
    phase: string,
    container: { name: string; image: string },
    state: Record<string, unknown>,
  ): Promise<void> {
    const ready = phase === 'Running'
    const seen = { ready, restartCount: 0, imageID: '', image: container.image }
    const containerStatuses = [{ name: container.name, ...seen, state }]
    await this.#call('PATCH', `/${name}/status`, { status: { phase, containerStatuses } })
  }

  #gone(name: string): Promise<unknown> {
    return this.#call('DELETE', `/${name}`, { gracePeriodSeconds: 0 })
  }

  /** Who is gone meanwhile is seen at the next look. */
  async #call(method: string, below: string, body?: unknown): Promise<unknown> {
    const { url, namespace, token, ca } = this.#options.account
    const patch = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json'
    const response = await fetch(`${url}/api/v1/namespaces/${namespace}/pods${below}`, {
      method,
      headers: {
        authorization: `Bearer ${token()}`,
        'content-type': patch,
        'user-agent': 'kubelet',
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(ca && { tls: { ca } }),
    })
    const text = await response.text()
    if (!response.ok && ![404, 409].includes(response.status)) {
      throw new Error(`kubelet: ${method} ${below}: ${response.status} ${text}`)
    }
    return JSON.parse(text)
  }
}
