/**
 * The three stages, what each must show, and the playing of them.
 */
import { systemClock } from '../actors/clock.ts'
import type { Children } from './children.ts'
import type { Sample, Timeline } from './timeline.ts'

export interface Stage {
  name: string
  /** Producers at 10 records/s each. */
  producers: number
  /** Seconds after which the stage ends whether its aim was reached or not. */
  secondsMax: number
  secondsMin: number
  /** What must be seen, for people. */
  promise: string
  /** Whether the samples so far show it. */
  met: (samples: Sample[]) => boolean
}

export interface StageResult {
  stage: Stage
  samples: Sample[]
  met: boolean
  /** Seconds from the stage's start until it had the executors that it ended with. */
  secondsToScale: number
}

const counts = (samples: Sample[]) => samples.map(({ executors }) => executors)

export const stages: Stage[] = [
  {
    name: 'one producer',
    producers: 1,
    secondsMin: 20,
    secondsMax: 30,
    promise: '1 executor',
    met: (samples) => Math.max(...counts(samples)) === 1 && counts(samples).at(-1) === 1,
  },
  {
    name: 'four producers',
    producers: 4,
    secondsMin: 25,
    secondsMax: 45,
    promise: 'more executors, up to 4',
    met: (samples) => Math.max(...counts(samples)) >= 3 && Math.max(...counts(samples)) <= 4,
  },
  {
    name: 'no producer',
    producers: 0,
    secondsMin: 0,
    secondsMax: 45,
    promise: 'back to 1, then 0, within 15 s of the end of the backlog',
    met: backToZero,
  },
]

const backToZeroWithinMs = 15_000

/** Seen at 1 and then at 0, the latter soon enough after the last sample that had a backlog. */
function backToZero(samples: Sample[]): boolean {
  const zero = samples.find(({ executors }) => executors === 0)
  const one = samples.find(({ executors }) => executors === 1)
  const first = samples[0]
  if (!zero || !one || !first || one.at > zero.at) return false
  const emptyAt = samples.findLast(({ backlog }) => backlog > 0)?.at ?? first.at
  return zero.at - emptyAt <= backToZeroWithinMs
}

/** Plays the stages one after the other; a sample a second. */
export async function play(
  list: Stage[],
  children: Children,
  timeline: Timeline,
): Promise<StageResult[]> {
  const results: StageResult[] = []
  const producers: ReturnType<Children['start']>[] = []
  for (const stage of list) {
    while (producers.length < stage.producers) {
      const seed = String(producers.length + 1)
      const command = ['actors/producer/main.ts', '--rate', '10', '--seed', seed]
      producers.push(children.start(command, 'ignore'))
    }
    const leaving = producers.splice(stage.producers)
    await Promise.all(leaving.map((producer) => children.end(producer)))
    results.push(await playStage(stage, timeline))
  }
  return results
}

async function playStage(stage: Stage, timeline: Timeline): Promise<StageResult> {
  const samples: Sample[] = []
  const started = systemClock.elapsed()
  const seconds = () => (systemClock.elapsed() - started) / 1000
  while (seconds() < stage.secondsMax) {
    samples.push(await timeline.look(stage.name))
    if (seconds() >= stage.secondsMin && stage.met(samples)) break
    await systemClock.sleep(1_000 - ((systemClock.elapsed() - started) % 1_000))
  }
  const last = samples.at(-1)?.executors
  const settled = samples.findLastIndex(({ executors }) => executors !== last) + 1
  const secondsToScale = ((samples[settled]?.at ?? started) - started) / 1000
  return { stage, samples, met: stage.met(samples), secondsToScale }
}
