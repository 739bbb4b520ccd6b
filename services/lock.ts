/**
 * One process at a time, by a directory that only one can make. It saves work and is no guarantee:
 * two processes that take over the lock of a dead one in the same instant both go on, so that what
 * is done under it must also be safe when done twice.
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock } from '../actors/clock.ts'
import { isAlive } from './identity.ts'

const ASK_EVERY_MS = 100
/** An owner writes its pid right after making the directory; without one it died in between. */
const NAMELESS_MS = 5_000

export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true })
  while (!tryLock(path)) {
    if (isAbandoned(path)) rmSync(path, { recursive: true, force: true })
    else await systemClock.sleep(ASK_EVERY_MS)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

function tryLock(path: string): boolean {
  try {
    mkdirSync(path)
  } catch {
    return false
  }
  writeFileSync(join(path, 'pid'), String(process.pid))
  return true
}

function isAbandoned(path: string): boolean {
  try {
    return !isAlive(Number(readFileSync(join(path, 'pid'), 'utf8')))
  } catch {
    return ageMs(path) > NAMELESS_MS
  }
}

function ageMs(path: string): number {
  try {
    return systemClock.now() - statSync(path).mtimeMs
  } catch {
    return 0
  }
}
