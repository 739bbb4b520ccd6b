/** `bun run simulate`: plays loads in virtual time, and compares how they can be scaled. */
import { runMain } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { SHIPPED_JOB } from '../actors/load.ts'
import { print } from '../actors/output.ts'
import { COST_MS, scenariosOf, sourceOf, termsOf, type Values, waysAsked } from './asked.ts'
import { contest, type Result, type Terms, type Way, ways, waysOf } from './contest.ts'
import type { Source } from './replay.ts'
import { watchedProgress } from '../cli/progress.ts'
import { listOf, notesOf, tableOf } from './report.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios.ts'
import { decisionsText, Timeline } from './timeline.ts'

const command = {
  help: `
Usage: bun run simulate [scenario...] [options]
       bun run simulate --replay [jobs/file.ts] | --replay-file FILE [options]

Plays loads in virtual time, a day in seconds, through the supervisor's own decisions, and compares
the policies: executor time, what was saved against a fleet that never scales, and how long records
waited for their result. Neither Kafka nor Redis is needed. Without a name all scenarios are played.

  --policy LIST          ways to scale, separated by commas: ${ways.join(', ')}
                         (all of them). fixed never scales; plan is the scenario's own, set by somebody
                         who knew the load beforehand, where it has one; optimum is the least that any
                         fleet could have used (a bound, not a play)
  --max-result-delay D   how long a record may wait for its result (2s)
  --min N, --max N       executors at the least (0) and at the most (4)
  --rate LIST            a load of your own: records a second and for how long, 10:30s,40:30s,0:45s
  --cost MS              what a record costs (${COST_MS} with --rate; the scenario's own)
  --seed N               of what comes by chance (1)
  --price P              money per executor-hour (MILLRACE_PRICE_PER_EXECUTOR_HOUR, 0.05)
  --timeline             load, backlog and executors over time, and each decision with its sentence
  --json                 results as JSON
  --list                 the scenarios
  --help                 this text

Back-test: what a supervisor measured (Redis keeps the last day, once a second) is played again, and
told beside what really happened. Limits are those of the recording.

  --replay               the measurements of the job (${SHIPPED_JOB}), from Redis
  --record FILE          only writes them to a file, as lines of JSON
  --replay-file FILE     the measurements of such a file

Exit code: 0; 1 where a recording can't be had; 2 for a mistake in the command.

Environment: REDIS_URL (with --replay and --record), MILLRACE_PRICE_PER_EXECUTOR_HOUR`,
  options: {
    policy: { type: 'string', choices: ways },
    'max-result-delay': { type: 'string' },
    min: { type: 'string' },
    max: { type: 'string' },
    rate: { type: 'string' },
    cost: { type: 'string' },
    seed: { type: 'string' },
    price: { type: 'string' },
    timeline: { type: 'boolean' },
    json: { type: 'boolean' },
    list: { type: 'boolean' },
    replay: { type: 'boolean' },
    record: { type: 'string' },
    'replay-file': { type: 'string' },
  },
} as const

interface Asked {
  ways: Way[]
  terms: Terms
  timeline: boolean
  json: boolean
}

async function main(): Promise<number> {
  const positionals = scenarios.map(({ name }) => name)
  const { values, positionals: names } = parseFlags({ ...command, positionals })
  if (values.list) {
    print(listOf(scenarios))
    return 0
  }
  const source = sourceOf(values, names, SHIPPED_JOB)
  if (source) return replayAll(source, values)
  const asked = askedOf(values, { min: 0, max: 4 })
  const results = scenariosOf(values, names).flatMap((scenario) => playAll(scenario, asked))
  tell(results, asked, notesOf(results))
  return 0
}

/** Loaded late: it brings a Redis client along, which nothing else here needs. */
async function replayAll(source: Source, values: Values): Promise<number> {
  const { holesText, loadTrace, record, recordedResult, replayOf } = await import('./replay.ts')
  if (values.record !== undefined) {
    print(`${await record(source.file, values.record)} measurements in ${values.record}`)
    return 0
  }
  const { name, trace } = await loadTrace(source)
  const recording = replayOf(name, trace)
  const asked = askedOf(values, recording)
  if (asked.timeline && !asked.json) {
    print(`${name}, recorded: ${recording.scenario.about}\n${decisionsText(trace.decisions)}\n`)
  }
  const really = recordedResult(recording, asked.terms)
  const played = playAll(recording.scenario, asked, recording.warm)
  const holes = holesText(recording)
  tell([really, ...played], asked, [...(holes ? [holes] : []), ...notesOf(played)])
  return 0
}

function playAll(scenario: Scenario, asked: Asked, warm = 0): Result[] {
  const { ways, terms, timeline, json } = asked
  const log = watchedProgress()
  const results = waysOf(scenario, ways).map((way) => {
    log.step(`${scenario.name}, ${way} …`)
    if (!timeline || json || way === 'optimum') return contest(scenario, way, { ...terms, warm })
    const lines = new Timeline(scenario.seconds)
    const result = contest(scenario, way, { ...terms, warm }, (look) => lines.add(look))
    log.end()
    print(`${scenario.name}, ${way}: ${scenario.about}\n${lines.text()}\n`)
    return result
  })
  log.end()
  return results
}

function askedOf(values: Values, usual: { min: number; max: number }): Asked {
  return {
    ways: waysAsked(values.policy),
    terms: termsOf(values, usual),
    timeline: values.timeline ?? false,
    json: values.json ?? false,
  }
}

function tell(results: readonly Result[], { terms, json }: Asked, notes: readonly string[]): void {
  if (json) print(JSON.stringify({ terms, results, notes }, null, 2))
  else for (const text of [tableOf(results), ...notes]) print(text)
}

await runMain('simulate', main)
