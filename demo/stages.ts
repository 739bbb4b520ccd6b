/**
 * The three stages, what each must show, and the playing of them.
 */
import { systemClock } from '../actors/clock.ts'
import { delaysBetween } from '../supervisor/latency.ts'
import type { Children } from './children.ts'
import type { Change, Mark, Sample, Timeline } from './timeline.ts'

/** What happened in a stage so far. */
export interface Seen {
  /** From the moment at which the load was changed; epoch ms. */
  startedAt: number
  /** A few a second. */
  samples: readonly Sample[]
  /** Every decision, with when it had taken effect. */
  changes: readonly Change[]
}

export interface Stage {
  name: string
  /** Producers at 10 records/s each. */
  producers: number
  /** Seconds after which the stage ends whether its aim was reached or not. */
  secondsMax: number
  secondsMin: number
  /** What must be seen, for people. */
  promise: string
  /** Whether what happened so far shows it. */
  met: (seen: Seen) => boolean
  /** The change that the stage is about: its effect ends the scaling. */
  aim: (changes: readonly Change[]) => Change | undefined
}

export interface StageResult {
  stage: Stage
  seen: Seen
  met: boolean
  /** From the stage's start until the change that it is about was in effect; null where it never was. */
  secondsToScale: number | null
  /** Records by result delay that were committed in the stage (supervisor/latency.ts). */
  delays: number[]
}

const settledMs = 10_000
const backToZeroWithinMs = 15_000
const sampleEveryMs = 250

/** The first change to as many as the stage came to. */
const toTheMost = (changes: readonly Change[]) => {
  const most = Math.max(...changes.map(({ to }) => to))
  return changes.find(({ to }) => to === most)
}
const toSome = (changes: readonly Change[]) => changes.find(({ to }) => to > 0)
const toNone = (changes: readonly Change[]) => changes.findLast(({ to }) => to === 0)

export const stages: Stage[] = [
  {
    name: 'one producer',
    producers: 1,
    secondsMin: 20,
    secondsMax: 90,
    promise: `1 executor, for ${settledMs / 1_000} s on end`,
    met: ({ samples }) => isSettledAt(1, samples),
    aim: toSome,
  },
  {
    name: 'four producers',
    producers: 4,
    secondsMin: 25,
    secondsMax: 90,
    promise: 'more executors, up to 4',
    met: ({ changes }) => {
      const most = toTheMost(changes)
      return most !== undefined && most.effectAt !== null && most.to >= 3 && most.to <= 4
    },
    aim: toTheMost,
  },
  {
    name: 'no producer',
    producers: 0,
    secondsMin: 0,
    secondsMax: 90,
    promise: `back to 1, then 0, within ${backToZeroWithinMs / 1_000} s of the end of the backlog`,
    met: isBackToZero,
    aim: toNone,
  },
]

/** Every sample of the last seconds, and there are so many seconds of them. */
function isSettledAt(executors: number, samples: readonly Sample[]): boolean {
  const end = samples.at(-1)?.at ?? 0
  const wrong = samples.findLast((sample) => sample.executors !== executors) ?? samples[0]
  return wrong !== undefined && end - wrong.at >= settledMs
}

/** To 1, from there to 0, and nobody is left soon enough after the last sample with a backlog. */
function isBackToZero({ startedAt, samples, changes }: Seen): boolean {
  const none = toNone(changes)
  if (none?.from !== 1 || none.effectAt === null) return false
  const emptyAt = samples.findLast(({ backlog }) => backlog > 0)?.at ?? startedAt
  return none.effectAt - emptyAt <= backToZeroWithinMs
}

/** Plays the stages one after the other. */
export async function play(
  list: Stage[],
  children: Children,
  timeline: Timeline,
): Promise<StageResult[]> {
  const played: { stage: Stage; seen: Seen; mark: Mark }[] = []
  const producers: ReturnType<Children['start']>[] = []
  for (const stage of list) {
    let startedAt = systemClock.now()
    while (producers.length < stage.producers) {
      const seed = String(producers.length + 1)
      const command = ['actors/producer/main.ts', '--rate', '10', '--seed', seed]
      producers.push(children.start(command, 'ignore'))
    }
    const leaving = producers.splice(stage.producers)
    if (leaving.length > 0) {
      await Promise.all(leaving.map((producer) => children.end(producer)))
      startedAt = systemClock.now()
    }
    const [mark, seen] = await Promise.all([timeline.mark(), playStage(stage, startedAt, timeline)])
    played.push({ stage, seen, mark })
  }
  const marks = [...played.map(({ mark }) => mark), await timeline.mark()]
  return played.map(({ stage, seen }, i) => {
    const effectAt = stage.aim(seen.changes)?.effectAt ?? null
    const secondsToScale = effectAt === null ? null : (effectAt - seen.startedAt) / 1_000
    const delays = delaysBetween(marks[i]!, marks[i + 1]!)
    return { stage, seen, met: stage.met(seen), secondsToScale, delays }
  })
}

async function playStage(stage: Stage, startedAt: number, timeline: Timeline): Promise<Seen> {
  const samples: Sample[] = []
  let seen: Seen = { startedAt, samples, changes: [] }
  const began = systemClock.elapsed()
  const seconds = () => (systemClock.elapsed() - began) / 1_000
  while (seconds() < stage.secondsMax) {
    samples.push(await timeline.look(stage.name))
    seen = { startedAt, samples, changes: await timeline.changesSince(startedAt) }
    if (seconds() >= stage.secondsMin && stage.met(seen)) break
    await systemClock.sleep(sampleEveryMs - ((systemClock.elapsed() - began) % sampleEveryMs))
  }
  return seen
}
