/** `bun run status`: what a job does now, straight from Redis, whether or not the page is up. */
import { systemClock } from '../actors/clock.ts'
import { runMain, UsageError } from '../actors/errors.ts'
import { durationFlag, parseFlags } from '../actors/flags.ts'
import { SHIPPED_JOB } from '../actors/load.ts'
import { inColour, lineText } from './lines.ts'
import { exitCodeOf, type Look, lookAt, lookTwice } from './look.ts'
import { withPlace } from './place.ts'
import { statusLines } from './text.ts'
import { watch } from './watch.ts'

const command = {
  help: `
Usage: bun run status [jobs/file.ts] [options]

What the job (${SHIPPED_JOB} by default) does now, straight from Redis: backlog, rates, delays, records,
executors, cost. Looks twice, a second apart, since rates and delays are counted in between.

  --now        looks once, at once: rates and delays are unknown
  --watch      again and again, until Ctrl-C; a line a look where it is no terminal
  --every T    with --watch: how often, such as 500ms or 10s (1s)
  --json       as JSON: { status, executors, cost }, each as GET /api/status, executors and cost
               have it; with --watch a line a look
  --help       this text

Exit code: 0 when the job is running or paused, 1 when it is degraded or stopped, has records that
nobody can account for, or Redis does not answer, 2 for a mistake in the command.

Environment: REDIS_URL, MILLRACE_AS, NO_COLOR`,
  options: {
    now: { type: 'boolean' },
    watch: { type: 'boolean' },
    every: { type: 'string' },
    json: { type: 'boolean' },
  },
  positionals: ['jobs/file.ts'],
} as const

const everyRange = { fromMs: 250, toMs: 3_600_000 }

await runMain('status', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const everyMs = durationFlag('every', values.every, everyRange)
  if (everyMs !== undefined && !values.watch) throw new UsageError('--every is for --watch only')
  if (values.now && values.watch) throw new UsageError('--watch takes no --now')
  const json = values.json ?? false
  return withPlace(positionals[0] ?? SHIPPED_JOB, async (place) => {
    if (values.watch) return watch(place, { everyMs: everyMs ?? 1_000, json })
    const look = await (values.now ? lookAt(place.reader) : lookTwice(place.reader, systemClock))
    process.stdout.write(json ? `${JSON.stringify(look, null, 2)}\n` : textOf(look))
    return exitCodeOf(look)
  })
})

/** A line that is too long for a terminal goes on below; nothing is cut. */
function textOf(look: Look): string {
  const paper = { columns: Infinity, colour: inColour(process.stdout) }
  return statusLines(look)
    .map((line) => `${lineText(line, paper)}\n`)
    .join('')
}
