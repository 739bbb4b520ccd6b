/**
 * What jobs and topics may be called, and which topics a job reads.
 */
import type { Job } from './job.ts'
import { JobError } from './job-error.ts'
import { TOPICS_MAX, topicsText } from './topics.ts'

export const JOB_NAME_RULE = '1 to 64 lower-case letters, digits, - or _'

export const isJobName = (name: string): boolean => /^[a-z0-9][a-z0-9_-]{0,63}$/.test(name)

/** A job's name, checked. @throws JobError */
export function nameOf(name: unknown): string {
  if (typeof name === 'string' && isJobName(name)) return name
  throw new JobError(`name must be ${JOB_NAME_RULE}, not ${JSON.stringify(name)}`)
}

/** A topic's name, checked. @throws JobError */
export function topicOf(topic: unknown, field = 'topic'): string {
  if (typeof topic === 'string' && /^[A-Za-z0-9._-]{1,249}$/.test(topic)) return topic
  throw new JobError(
    `${field} must be 1 to 249 letters, digits, '.', '_' or '-', not ${JSON.stringify(topic)}`,
  )
}

/** A list of one topic is that topic. */
export function topicsOf(topic: unknown, topics: unknown): Pick<Job, 'topic' | 'topics'> {
  if (topics === undefined) return { topic: topicOf(topic), topics: null }
  if (topic !== undefined) throw new JobError('a job has topic or topics, not both')
  // Its flags g and y would make it remember where it ended.
  const asked =
    topics instanceof RegExp
      ? new RegExp(topics.source, topics.flags.replace(/[gy]/g, ''))
      : namesOf(topics)
  if (!(asked instanceof RegExp) && asked.length === 1) return { topic: asked[0]!, topics: null }
  return { topic: topicsText(asked), topics: asked }
}

function namesOf(topics: unknown): readonly string[] {
  if (!Array.isArray(topics) || topics.length === 0) {
    throw new JobError(
      "topics must be a list of names such as ['orders', 'returns'], or a regular expression such as /^orders\\./",
    )
  }
  const names = topics.map((name, place) => topicOf(name, `topics[${place}]`))
  const twice = names.find((name, place) => names.indexOf(name) !== place)
  if (twice !== undefined) throw new JobError(`topics names ${JSON.stringify(twice)} twice`)
  if (names.length <= TOPICS_MAX) return names
  throw new JobError(`topics must be at most ${TOPICS_MAX} names`)
}
