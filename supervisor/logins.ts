/**
 * The environment of a supervisor's child: where the child has a login of its own at Redis, that one in
 * place of ours, and nobody else's. An executor runs the job's code, and needs far less than a supervisor.
 */
import type { Actor } from '../actors/messages.ts'

type Environment = Record<string, string | undefined>

const variables = {
  bridge: 'REDIS_URL_BRIDGE',
  executor: 'REDIS_URL_EXECUTOR',
  web: 'REDIS_URL_WEB',
  sinks: 'REDIS_URL_SINKS',
} as const satisfies Partial<Record<Actor['kind'], string>>

export function environmentOf(kind: Actor['kind'], environment: Environment): Environment {
  const own = kind === 'supervisor' ? undefined : environment[variables[kind]]
  const others = new Set<string>(Object.values(variables))
  const shared = Object.entries(environment).filter(([name]) => !others.has(name))
  return { ...Object.fromEntries(shared), ...(own && { REDIS_URL: own }) }
}
