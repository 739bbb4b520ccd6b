/**
 * A local PostgreSQL for the tests of its sink: finds the programs, or has Debian's installed, and says
 * how to run one on a directory and a port; nothing fails without it. It refuses to run as root, so root runs it as the user
 * `postgres`, whom the package brings.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { messageOf, RefusalError } from '../actors/errors.ts'
import { aptInstall, canInstall } from './debian.ts'
import { type Progress, silent } from '../cli/progress.ts'
import { runSteps } from './run.ts'
import { createServer, type Server } from './server.ts'

/** Where Debian has them, by version; they are not on the PATH there. */
const VERSIONS = '/usr/lib/postgresql'

/** The folder of `initdb` and `postgres`; null where there is none and none can be installed. */
export async function ensurePostgres(log: Progress = silent): Promise<string | null> {
  const found = installedPostgres()
  if (found || !canInstall()) return found
  try {
    await aptInstall(['postgresql'], log)
  } catch (error) {
    log.line(`no PostgreSQL: ${messageOf(error)}`)
  }
  return installedPostgres()
}

export function installedPostgres(): string | null {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : []
  const newest = versions.sort((a, b) => Number(b) - Number(a))
  const folders = newest.map((version) => join(VERSIONS, version, 'bin'))
  const onPath = Bun.which('postgres')
  if (onPath) folders.push(join(onPath, '..'))
  return folders.find((folder) => existsSync(join(folder, 'initdb'))) ?? null
}

export interface PostgresPlan {
  programs: string
  dir: string
  port: number
}

/** A server whose one user, `postgres`, needs no password; nothing is kept for a power cut. */
export async function createPostgres({ programs, dir, port }: PostgresPlan): Promise<Server> {
  const data = join(dir, 'data')
  mkdirSync(dir, { recursive: true })
  const asUser = await userOf(dir)
  const initdb = [join(programs, 'initdb'), '-D', data, '-U', 'postgres', '-A', 'trust', '-N']
  const made = await runSteps([...asUser, ...initdb, '--encoding=UTF8', '--locale=C'])
  if (made.code !== 0) throw new RefusalError(`PostgreSQL's initdb failed: ${made.lastLine}`)
  const settings = ['-h', '127.0.0.1', '-p', String(port), '-k', dir, '-F']
  return createServer({
    name: 'PostgreSQL',
    command: [...asUser, join(programs, 'postgres'), '-D', data, ...settings],
    ports: [port],
    logFile: join(dir, 'postgres.log'),
    answers: () => postgresAnswers(postgresUrl(port)),
    detached: false,
  })
}

export const postgresUrl = (port: number): string =>
  `postgres://postgres@127.0.0.1:${port}/postgres`

async function postgresAnswers(url: string): Promise<boolean> {
  const sql = new SQL({ url, max: 1, connectionTimeout: 2 })
  try {
    await sql.unsafe('select 1')
    return true
  } catch {
    return false
  } finally {
    await sql.close({ timeout: 0 })
  }
}

/** What is put in front of a command, so that root does not run it as root. */
async function userOf(dir: string): Promise<string[]> {
  if (process.getuid?.() !== 0) return []
  const setpriv = Bun.which('setpriv')
  if (!setpriv) throw new RefusalError('PostgreSQL does not run as root, and there is no setpriv')
  const owned = await runSteps(['chown', 'postgres', dir])
  if (owned.code !== 0) throw new RefusalError(`no user postgres: ${owned.lastLine}`)
  chmodSync(dir, 0o755)
  return [setpriv, '--reuid=postgres', '--regid=postgres', '--clear-groups', '--']
}
