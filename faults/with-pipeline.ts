/**
 * A pipeline's life: nothing is started by itself, everything is ended, and the log and what is in Redis are
 * kept where it failed.
 */
import { Pipeline, type PipelineOptions } from './pipeline.ts'
import { createTopic } from './topic.ts'

/** Runs a test with a pipeline whose supervisors it starts; leaves nothing running. */
export async function withPipeline(
  options: PipelineOptions,
  test: (pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const { kafkaBrokers } = options.direct ?? options.services
  const name = options.names ? { name: options.names.topic } : {}
  const topic = await createTopic(options.label, { ...options.topic, ...name, kafkaBrokers })
  const pipeline = new Pipeline(options, topic)
  try {
    await orAborted(test(pipeline), options.signal)
    await pipeline.stop()
    expectNobody(pipeline)
    await pipeline.clear()
  } catch (error) {
    const words = await pipeline.lastWords()
    if (options.onFailure) options.onFailure(pipeline, words)
    else process.stderr.write(`${words}\n`)
    await pipeline.kill()
    // The next pipeline of this job has the same names, and must find nothing.
    if (options.names) await pipeline.forget().catch(() => undefined)
    throw error
  } finally {
    await pipeline.kill()
    await pipeline.store.close()
  }
}

/** Resolves with the work, or rejects as soon as the signal is aborted; the work then goes unheard. */
async function orAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return work
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(new Error('interrupted'))
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    work.catch(() => {})
  }
}

function expectNobody(pipeline: Pipeline): void {
  const left = pipeline.processes()
  if (left.length === 0) return
  const names = left.map(({ pid, command }) => `${pid} ${command.slice(0, 120)}`)
  throw new Error(`processes are left: ${names.join('; ')}`)
}
