/**
 * The fleet as a policy looks at it: which executors there are, who came by himself, and what the machines
 * have for more.
 *
 *   snapshot → survey of the machines → Fleet → decide.ts
 */
import { systemHost } from '../actors/host.ts'
import type { Snapshot } from '../actors/measure.ts'
import { computingShare, usefulExecutors } from './backlog.ts'
import type { Limits } from './control.ts'
import type { ExecutorFleet } from './fleet.ts'
import type { SupervisorOptions } from './options.ts'
import type { Places } from './places.ts'
import type { Fleet } from './reasons.ts'

export class FleetView {
  readonly #fleet: ExecutorFleet
  readonly #places: Places | null
  readonly #options: Pick<SupervisorOptions, 'cores' | 'room' | 'scales'>
  #survey: ReturnType<Places['survey']> | null = null
  #room: number | null = null
  /** Actors of the last snapshot that was decided by: others have come since. */
  #met: ReadonlySet<string> = new Set()

  constructor(
    fleet: ExecutorFleet,
    places: Places | null,
    options: Pick<SupervisorOptions, 'cores' | 'room' | 'scales'>,
  ) {
    this.#fleet = fleet
    this.#places = places
    this.#options = options
  }

  /** Executors that all machines together take; Infinity where nobody knows. */
  get takenMax(): number {
    return this.#survey?.places ?? Number.POSITIVE_INFINITY
  }

  /** Looks at the machines. */
  look(snapshot: Snapshot | null): void {
    if (snapshot && this.#places) this.#survey = this.#places.survey(snapshot)
    this.#room = this.#survey ? this.#survey.room : (this.#options.room?.() ?? null)
  }

  meet({ actors }: Snapshot): void {
    this.#met = new Set(actors.map(({ id }) => id))
  }

  of(snapshot: Snapshot | null, target: number, limits: Limits): Fleet {
    const living = snapshot ? this.#fleet.living(snapshot) : []
    const accounts = living.flatMap(({ actor }) => actor ?? [])
    return {
      target,
      joined: snapshot ? this.#joined(living, snapshot) : 0,
      running: living.filter(({ actor }) => actor?.state === 'running').length,
      executors: living.map(({ id, actor }) => ({ id, busyMs: actor?.busyMs ?? 0 })),
      useful: usefulExecutors(accounts, { cores: this.#cores(accounts), room: this.#room }),
      computing: computingShare(accounts),
      ...limits,
    }
  }

  #cores(accounts: Snapshot['actors']): number {
    if (this.#survey) return this.#survey.cores
    const elsewhere = accounts.filter(({ host }) => host !== systemHost.name).length
    return (this.#options.cores ?? systemHost.cores) + elsewhere
  }

  /** Who was started by somebody else, and not by another host of ours as it was told. */
  #joined(living: ReturnType<ExecutorFleet['living']>, { actors }: Snapshot): number {
    // Where another scales, those that come are those that were decided.
    if (this.#options.scales === false) return 0
    const hosts = new Set(
      actors.flatMap(({ id, kind, alive }) => (kind === 'supervisor' && alive ? [id] : [])),
    )
    const isNew = living.filter(({ id, member }) => member === null && !this.#met.has(id))
    return isNew.filter(({ actor }) => actor?.of === undefined || !hosts.has(actor.of)).length
  }
}
