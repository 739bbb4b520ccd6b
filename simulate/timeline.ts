/**
 * A play over time as text: one line for each span with load, backlog and executors, and between the
 * lines each decision that changed something, with its sentence.
 */
import type { Decision } from '../supervisor/reasons.ts'
import type { Look } from './world.ts'

const LINES = 60
const BAR = 24

interface Cell {
  fromMs: number
  arrived: number
  waiting: number
  executors: number
  sentences: string[]
}

/** Takes looks as they come; `text` draws what was seen. */
export class Timeline {
  readonly #spanMs: number
  readonly #cells: Cell[] = []

  constructor(seconds: number) {
    this.#spanMs = roundSpan((seconds * 1_000) / LINES)
  }

  add({ atMs, arrived, waiting, decision, over }: Look): void {
    if (over) return
    const place = Math.floor(atMs / this.#spanMs)
    const cell = (this.#cells[place] ??= emptyCell(place * this.#spanMs))
    cell.arrived = arrived
    cell.waiting = Math.max(cell.waiting, waiting)
    cell.executors = Math.max(cell.executors, decision.to)
    if (decision.to !== decision.from) {
      cell.sentences.push(`${clock(atMs)} ${decision.reason}: ${decision.sentence}`)
    }
  }

  text(): string {
    const cells = Array.from(this.#cells, (cell, i) => cell ?? emptyCell(i * this.#spanMs))
    const most = Math.max(1, ...cells.map(({ waiting }) => waiting))
    let before = 0
    const lines = cells.flatMap((cell) => {
      const arrived = Math.max(cell.arrived, before)
      const perSecond = ((arrived - before) * 1_000) / this.#spanMs
      before = arrived
      const bar = '█'.repeat(Math.ceil((cell.waiting / most) * BAR)).padEnd(BAR)
      const told = shortened(cell.sentences).map((sentence) => `${' '.repeat(12)}└ ${sentence}`)
      return [
        `${clock(cell.fromMs).padStart(10)}  ${perSecond.toFixed(1).padStart(8)}/s  ` +
          `${String(cell.waiting).padStart(7)} ${bar}  ${'●'.repeat(cell.executors)}`.trimEnd(),
        ...told,
      ]
    })
    const head = `${'time'.padStart(10)}  ${'load'.padStart(10)}  ${'backlog, at most'.padEnd(BAR + 8)}  executors, at most`
    return [head, ...lines].join('\n')
  }
}

/** Decisions that were really taken, a line each. */
export function decisionsText(decisions: readonly Decision[]): string {
  return decisions.map(lineOf).join('\n') || 'no decision is recorded'
}

const lineOf = ({ at, reason, sentence }: Decision) =>
  `${new Date(at).toISOString()}  ${reason}: ${sentence}`

const emptyCell = (fromMs: number): Cell => ({
  fromMs,
  arrived: 0,
  waiting: 0,
  executors: 0,
  sentences: [],
})

const SENTENCES = 6

function shortened(sentences: readonly string[]): string[] {
  if (sentences.length <= SENTENCES) return [...sentences]
  return [...sentences.slice(0, SENTENCES - 1), `… and ${sentences.length - SENTENCES + 1} more`]
}

function roundSpan(ms: number): number {
  const rounds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600]
  return (
    (rounds.find((seconds) => seconds * 1_000 >= ms) ?? Math.ceil(ms / 3_600_000) * 3_600) * 1_000
  )
}

function clock(ms: number): string {
  const seconds = ms / 1_000
  const rest = (seconds % 60).toFixed(2).padStart(5, '0')
  return `${two(seconds / 3_600)}:${two((seconds / 60) % 60)}:${rest}`
}

const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
