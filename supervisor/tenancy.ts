/**
 * A job beside others on the same Redis: its entry in the register, its quotas, and its share of the
 * executors, as its leading supervisor sees to them.
 */
import type { Snapshot } from '../actors/measure.ts'
import type { Limits } from './control.ts'
import type { Registration } from './entries.ts'
import type { Pool } from './pool.ts'
import type { Quotas } from './quotas.ts'
import type { Decision } from './reasons.ts'

export class Tenancy {
  readonly #registration: Registration
  readonly #quotas: Quotas
  readonly #pool: Pool | null

  constructor(parts: { registration: Registration; quotas: Quotas; pool: Pool | null }) {
    this.#registration = parts.registration
    this.#quotas = parts.quotas
    this.#pool = parts.pool
  }

  /** Executors that the job may have, whatever its own limit is. */
  get executorsMax(): number {
    return this.#pool?.granted ?? Number.POSITIVE_INFINITY
  }

  /** Leads from now on; `changed`: fields of the control hash that flags do not replace any more. */
  async begin(changed: ReadonlySet<string>): Promise<void> {
    this.#registration.takesOver()
    await this.#quotas.begin(changed)
  }

  /** What is due of the register and the quotas; rejects on an outage. */
  async look(snapshot: Snapshot, limits: Limits): Promise<void> {
    await this.#quotas.look(snapshot)
    // Last: a user of one job may be kept from what all share.
    await this.#registration.refresh(limits)
  }

  /** What was decided, as far as the executors of all jobs go; `present` is null where that is unknown. */
  async fit(decision: Decision, present: number | null): Promise<Decision> {
    return this.#pool && present !== null ? this.#pool.fit(decision, present) : decision
  }

  /** The job has no executors any more. */
  async leave(): Promise<void> {
    await this.#pool?.leave()
  }
}
