/**
 * The terminal as a whole screen: taken, written over, given back as it was, whatever ends us.
 *
 *   open → draw … → close (q, Ctrl-C, SIGINT, SIGTERM, SIGHUP, an error, exit)
 */
import { exitCodes } from '../actors/errors.ts'
import type { Line } from './lines.ts'
import { frame } from './watch.ts'

/** The other screen, no cursor; and back. */
const TAKE = '\x1b[?1049h\x1b[?25l\x1b[2J'
const GIVE_BACK = '\x1b[?25h\x1b[?1049l'

const CTRL_C = '\x03'

export interface Screen {
  size(): { columns: number; rows: number }
  draw(lines: readonly Line[]): void
  /** Aborted with an exit code when somebody wants it to end. */
  ended: AbortSignal
  /** Called when the terminal has another size. */
  onResize(redraw: () => void): void
  /** Gives the terminal back; a second call is harmless. */
  close(): void
}

export function openScreen(out = process.stdout, keys = process.stdin): Screen {
  const asked = new AbortController()
  let open = true
  const close = () => {
    if (!open) return
    open = false
    if (keys.isTTY) keys.setRawMode(false)
    keys.pause()
    out.write(GIVE_BACK)
  }
  out.write(TAKE)
  process.on('exit', close)
  listen(asked, keys)
  return {
    size: () => ({ columns: out.columns || 80, rows: out.rows || 24 }),
    draw: (lines) => void (open && out.write(frame(lines, out))),
    ended: asked.signal,
    onResize: (redraw) => void out.on('resize', redraw),
    close,
  }
}

/** Ctrl-C is a key here, since keys come as they are typed. */
function listen(asked: AbortController, keys: NodeJS.ReadStream): void {
  process.on('SIGINT', () => asked.abort(exitCodes.interrupted.code))
  process.on('SIGTERM', () => asked.abort(exitCodes.terminated.code))
  process.on('SIGHUP', () => asked.abort(exitCodes.terminated.code))
  if (!keys.isTTY) return
  keys.setRawMode(true)
  keys.on('data', (typed: Buffer | string) => {
    if (/[qQ]/.test(String(typed)) || String(typed).includes(CTRL_C)) {
      asked.abort(exitCodes.done.code)
    }
  })
}
