/** `bun run top`: a job at work, live in the terminal, until q or Ctrl-C. */
import { systemClock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import { runMain } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { SHIPPED_JOB } from '../actors/load.ts'
import { readSamples } from '../supervisor/measurements.ts'
import { type Board, boardLines, sparkCells, STEP_MS } from './board.ts'
import { lookAt } from './look.ts'
import { type Place, withPlace } from './place.ts'
import { openScreen, type Screen } from './screen.ts'
import { outageAsNull, watch } from './watch.ts'

const command = {
  help: `
Usage: bun run top [jobs/file.ts]

The job (${SHIPPED_JOB} by default) at work, live in the terminal: its stages, backlog, arrivals and
executors over time, each executor, the last decisions. q or Ctrl-C ends it. Where the output is no
terminal it is what status --watch prints.

  --help   this text

Exit code: 0; 1 when Redis does not answer; 2 for a mistake in the command. For JSON: status --watch --json.

Environment: REDIS_URL, MILLRACE_AS, NO_COLOR`,
  options: {},
  positionals: ['jobs/file.ts'],
} as const

const EVERY_MS = 1_000
/** More than the highest terminal has lines. */
const DECISIONS = 100

await runMain('top', async () => {
  const { positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  return withPlace(positionals[0] ?? SHIPPED_JOB, async (place) => {
    if (!process.stdout.isTTY) return watch(place, { everyMs: EVERY_MS, json: false })
    // Before the screen is taken, so that what is wrong at once is told on the one that stays.
    const first = await boardOf(place, 0)
    const screen = openScreen()
    try {
      return await play(place, screen, first)
    } finally {
      screen.close()
    }
  })
})

/** Draws until somebody ends it; an outage leaves the last board, and says so. */
async function play(place: Place, screen: Screen, first: Board): Promise<number> {
  let board = first
  const draw = () => screen.draw(boardLines(board, screen.size()))
  screen.onResize(draw)
  while (!screen.ended.aborted) {
    const next = await boardOf(place, sparkCells(screen.size())).catch(outageAsNull)
    board = next ?? { ...board, trouble: place.silence }
    draw()
    await systemClock.sleep(EVERY_MS, screen.ended)
  }
  return screen.ended.reason as number
}

async function boardOf({ reader, store, keys }: Place, cells: number): Promise<Board> {
  const look = await lookAt(reader)
  // One before the first shown, however rarely it was measured.
  const from = Date.parse(look.status.at) - cells * STEP_MS - bounds.measureSilentEveryMs
  const [samples, { decisions }, { actors }] = await Promise.all([
    readSamples(store, keys, from),
    reader.decisions(DECISIONS),
    reader.actors(),
  ])
  return { ...look, samples, decisions, actors, trouble: null }
}
