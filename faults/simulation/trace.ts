/**
 * What happened, line by line: hashed, so that two runs of a seed can be compared; printed where a
 * person wants to see it. And how often which kind of thing happened, so that a batch of seeds can
 * show that it reached the states that matter.
 */
import type { Time } from './time.ts'

export class Trace {
  readonly lines: string[] = []
  readonly counts = new Map<string, number>()
  readonly #time: Time
  readonly #print: ((line: string) => void) | null

  constructor(time: Time, print: ((line: string) => void) | null = null) {
    this.#time = time
    this.#print = print
  }

  say(line: string): void {
    const told = `${this.#time.nowUs} ${line}`
    this.lines.push(told)
    this.#print?.(told)
  }

  count(kind: string, by = 1): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + by)
  }

  get hash(): string {
    return Bun.hash(this.lines.join('\n')).toString(16).padStart(16, '0')
  }
}
