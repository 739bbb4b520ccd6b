/**
 * The audit of a job as Redis has it. It may have been begun before the job was, and then nobody knows yet
 * how many shards that will have; `bun run reshard` changes them. Either way the audit begins anew.
 */
import { heldKeys } from '../actors/shards.ts'
import { Audit, type AuditOptions, type Round } from './audit.ts'
import type { Verification } from './verify.ts'

export class HeldAudit {
  readonly #verification: Omit<Verification, 'keys'>
  readonly #options: AuditOptions
  #held: { audit: Audit; shards: number } | null = null

  constructor(verification: Omit<Verification, 'keys'>, options: AuditOptions = {}) {
    this.#verification = verification
    this.#options = options
  }

  /** Rejects as a round of Audit does, and while the number of shards is being changed. */
  async round(): Promise<Round> {
    const { store, job } = this.#verification
    const keys = await heldKeys(store, job.name)
    const shards = keys.shards.length
    if (this.#held?.shards === shards) return this.#held.audit.round()
    const before = this.#held
    await this.close()
    // What has come since this one was begun is to be audited, also by one that takes its place.
    const options = before ? { ...this.#options, fromNow: false } : this.#options
    const audit = new Audit({ ...this.#verification, keys }, options)
    this.#held = { audit, shards }
    const round = await audit.round()
    if (!before) return round
    return {
      ...round,
      notes: [`the job has ${shards} shards: the audit begins again`, ...round.notes],
    }
  }

  async close(): Promise<void> {
    await this.#held?.audit.close()
  }
}
