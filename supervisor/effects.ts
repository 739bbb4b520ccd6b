/**
 * From a decision to its effect: a scale-out has taken effect when so many executors are running, a
 * scale-in when no more than so many are left, those that drain included. Pure.
 *
 *   decision, its id in the stream → open → snapshots → Effect → stream of effects (decisions.ts)
 *
 * A decision that the opposite one overtakes never takes effect; nothing is told of it.
 */
import type { Snapshot } from '../actors/measure.ts'
import type { Decision } from './reasons.ts'

type Known = Snapshot['actors'][number]

export interface Effect {
  /** The decision's id in its stream. */
  id: string
  direction: 'out' | 'in'
  /** From the decision to its effect. */
  ms: number
}

interface Open extends Pick<Decision, 'at' | 'from' | 'to'> {
  id: string
}

export class Effects {
  #open: Open[] = []
  /** Executor → when it was running, as exactly as it can be told. */
  #runningAt = new Map<string, number>()
  #lookedAt: number | null = null

  /** A decision was kept under this id. */
  decided(decision: Decision, id: string): void {
    const { at, from, to } = decision
    if (from === to) return
    this.#open = this.#open.filter((open) => isOut(open) === isOut(decision))
    this.#open.push({ id, at, from, to })
  }

  /** What was decided before, in an earlier lead, is nobody's to follow any more. */
  forget(): void {
    this.#open = []
  }

  /**
   * What has taken effect by a snapshot that was taken at `now`, epoch ms: of those that count for the
   * target, and of all executors that live.
   */
  look(members: readonly Known[], living: number, now: number): Effect[] {
    this.#runningAt = this.#seen(members, now)
    this.#lookedAt = now
    const times = [...this.#runningAt.values()].sort((a, b) => a - b)
    const effects: Effect[] = []
    const still: Open[] = []
    for (const open of this.#open) {
      const at = isOut(open) ? times[open.to - 1] : living > open.to ? undefined : now
      if (at === undefined) still.push(open)
      else effects.push(effectOf(open, at))
    }
    this.#open = still
    return effects
  }

  /**
   * When each that runs began to: what it says itself, first seen, where that is possible by our clock
   * (it came after the look before); other machines' clocks differ.
   */
  #seen(members: readonly Known[], now: number): Map<string, number> {
    const running = members.filter(({ state, alive }) => state === 'running' && alive)
    const earliest = this.#lookedAt ?? now
    return new Map(
      running.map(({ id, at }) => {
        const told = Math.min(Math.max(at, earliest), now)
        return [id, this.#runningAt.get(id) ?? told]
      }),
    )
  }
}

const effectOf = (open: Open, at: number): Effect => ({
  id: open.id,
  direction: isOut(open) ? 'out' : 'in',
  ms: Math.max(0, Math.round(at - open.at)),
})

const isOut = ({ from, to }: Pick<Decision, 'from' | 'to'>): boolean => to > from
