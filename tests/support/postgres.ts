/** A PostgreSQL of a test file's own, where the machine has one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../services/ports.ts'
import { createPostgres, installedPostgres, postgresUrl } from '../../services/postgres.ts'
import type { Server } from '../../services/server.ts'

export const postgresPrograms = installedPostgres()

export interface TestPostgres {
  url: string
  server: Server
  end(): Promise<void>
}

export async function startPostgres(): Promise<TestPostgres> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-postgres-'))
  const port = await freePort()
  const server = await createPostgres({ programs: postgresPrograms!, dir, port })
  await server.start()
  return {
    url: postgresUrl(port),
    server,
    async end() {
      // Fast shutdown: it does not wait for clients.
      await server.stop('SIGINT')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
