/**
 * Kafka and Redis in containers, by compose.yaml, where an engine really answers: the client alone
 * is often installed without one.
 */
import { resolve } from 'node:path'
import { messageOf, RefusalError } from '../actors/errors.ts'
import type { Progress } from '../cli/progress.ts'
import { runSteps } from './run.ts'

export type ContainerName = 'kafka' | 'redis'

/** The ports that compose.yaml publishes on 127.0.0.1. */
export const composePorts = { kafka: 9092, redis: 6379 } as const

const FILE = resolve(import.meta.dir, '..', 'compose.yaml')
const ANSWER_TIMEOUT_MS = 5_000
/** Images may have to be pulled first. */
const UP_TIMEOUT_MS = 10 * 60_000
const STOP_TIMEOUT_MS = 60_000

export async function composeAnswers(): Promise<boolean> {
  if (!Bun.which('docker', { PATH: process.env.PATH ?? '' })) return false
  for (const question of ['info', 'compose version']) {
    const command = ['docker', ...question.split(' ')]
    const result = await runSteps(command, { timeoutMs: ANSWER_TIMEOUT_MS }).catch(() => undefined)
    if (result?.code !== 0) return false
  }
  return true
}

/** Resolves when they are healthy. @throws RefusalError with the engine's own line */
export async function composeUp(names: ContainerName[], log: Progress): Promise<void> {
  log.step(`docker compose: starting ${names.join(' and ')}`)
  await compose(['up', '--detach', '--wait', ...names], UP_TIMEOUT_MS, log)
}

/** Their data stays. */
export async function composeStop(names: ContainerName[], log: Progress): Promise<void> {
  await compose(['stop', ...names], STOP_TIMEOUT_MS, log)
}

async function compose(args: string[], timeoutMs: number, log: Progress): Promise<void> {
  const command = ['docker', 'compose', '--file', FILE, ...args]
  const result = await runSteps(command, {
    timeoutMs,
    // The file asks for it on behalf of the one service that is not started here.
    environment: { MILLRACE_TOKEN: process.env.MILLRACE_TOKEN || 'not-started' },
    onLine: (line) => log.step(`docker compose: ${line}`),
  }).catch((error) => ({ code: 1, lastLine: messageOf(error) }))
  if (result.code !== 0) throw new RefusalError(`docker compose ${args[0]}: ${result.lastLine}`)
}
