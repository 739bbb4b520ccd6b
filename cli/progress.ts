/**
 * What downloading and starting tells a person: on a terminal one live line that ends with the
 * result, otherwise plain lines, and of steps in quick succession only some.
 */
import { systemClock } from '../actors/clock.ts'

export interface Progress {
  /** Something done or found, kept on a line of its own. */
  line(text: string): void
  /** Where a long step is; on a terminal the next one takes its place. */
  step(text: string): void
  /** Before somebody else writes: takes a live line away. */
  end(): void
}

const PLAIN_STEP_EVERY_MS = 2_000

export const silent: Progress = {
  line: () => undefined,
  step: () => undefined,
  end: () => undefined,
}

export function createProgress(out: NodeJS.WriteStream = process.stderr): Progress {
  return out.isTTY ? live(out) : plain(out)
}

/** Only for somebody who watches: on a terminal a live line, otherwise nothing. */
export const watchedProgress = (out: NodeJS.WriteStream = process.stderr): Progress =>
  out.isTTY ? live(out) : silent

function live(out: NodeJS.WriteStream): Progress {
  let shown = false
  const clear = () => (shown ? '\r\x1b[2K' : '')
  return {
    line(text) {
      out.write(`${clear()}${text}\n`)
      shown = false
    },
    step(text) {
      out.write(`${clear()}${text.slice(0, Math.max(20, (out.columns || 80) - 1))}`)
      shown = true
    },
    end() {
      out.write(clear())
      shown = false
    },
  }
}

function plain(out: NodeJS.WriteStream): Progress {
  let last = Number.NEGATIVE_INFINITY
  return {
    line: (text) => void out.write(`${text}\n`),
    step(text) {
      const at = systemClock.elapsed()
      if (at - last < PLAIN_STEP_EVERY_MS) return
      last = at
      out.write(`${text}\n`)
    },
    end: () => undefined,
  }
}
