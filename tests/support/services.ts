/**
 * The Kafka and the Redis of the tests: those that tests/check.ts started and named in the
 * environment, otherwise private ones, started at the first call and shared by the process.
 * They are shared: a test makes names of its own (faults/names.ts) and never flushes. One that stops or
 * kills a server starts its own with startServices.
 */
import { join } from 'node:path'
import * as v from 'valibot'
import type { Addresses } from '../../faults/pipeline.ts'

const heldSchema = v.union([
  v.object({ KAFKA_BROKERS: v.string(), REDIS_URL: v.string() }),
  v.object({ error: v.string() }),
])

let shared: Promise<Addresses> | undefined

/** The first call of a process may take seconds, or minutes where Kafka has to be fetched. */
export function testServices(): Promise<Addresses> {
  shared ??= named() ?? held()
  return shared
}

function named(): Promise<Addresses> | undefined {
  const { MILLRACE_TEST_KAFKA: kafka, MILLRACE_TEST_REDIS: redis } = process.env
  if (!kafka || !redis) return undefined
  return Promise.resolve(toServices({ KAFKA_BROKERS: kafka, REDIS_URL: redis }))
}

/** By a shell that leaves at once, so that the holder is nobody's child; holder.ts says why. */
async function held(): Promise<Addresses> {
  const holder = [process.execPath, join(import.meta.dir, 'holder.ts'), String(process.pid)]
  const shell = Bun.spawn(['/bin/sh', '-c', '"$@" &', 'sh', ...holder], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const answer = v.parse(heldSchema, JSON.parse(await firstLine(shell.stdout)))
  if ('error' in answer) throw new Error(`no services for the tests: ${answer.error}`)
  return toServices(answer)
}

function toServices(environment: Addresses['environment']): Addresses {
  return {
    kafkaBrokers: environment.KAFKA_BROKERS,
    redisUrl: environment.REDIS_URL,
    environment,
  }
}

/** The holder keeps its end of the pipe, so that there is no end of the stream to wait for. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('\n')) break
  }
  return text
}
