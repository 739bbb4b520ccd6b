/** The project's programs as a person runs them, in its root: their exit codes and what they print. */
import { resolve } from 'node:path'

const root = resolve(import.meta.dir, '../..')
/** One that takes longer hangs, and is killed. */
const HUNG_MS = 120_000

export type Environment = Record<string, string | undefined>

/** A program's file and its arguments; `environment` is all that it has, ours by default. */
export const startCommand = (
  command: readonly string[],
  environment: Environment = process.env,
  cwd = root,
) =>
  Bun.spawn([process.execPath, ...command], {
    cwd,
    env: environment,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: HUNG_MS,
  })

/** The same, to its end. */
export async function runCommand(...started: Parameters<typeof startCommand>) {
  const child = startCommand(...started)
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { out, err, code }
}
