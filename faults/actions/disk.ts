/** Redis's disk is full: its data lies on a file system of its own, which can be filled. */
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { World } from '../world.ts'
import type { Action } from './action.ts'

const SIZE_MB = 64

const ballast = (world: World) => join(world.services.dir, 'redis', 'data', 'ballast')

/** Moves Redis's data to a small file system; false where we may not make one. */
export async function onSmallDisk(world: World): Promise<boolean> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const { dir, redis } = world.services
  const data = join(dir, 'redis', 'data')
  const copy = join(dir, 'redis', 'copy')
  await redis.stop()
  cpSync(data, copy, { recursive: true })
  const mount = ['mount', '-t', 'tmpfs', '-o', `size=${SIZE_MB}m`, 'millrace', data]
  const mounted = Bun.spawnSync(mount).exitCode === 0
  if (mounted) {
    cpSync(copy, data, { recursive: true })
    // Lazily, because Redis is still there then.
    world.beside({ stop: async () => void Bun.spawnSync(['umount', '--lazy', data]) })
  }
  await redis.start()
  return mounted
}

export const diskFull: Action = {
  name: 'Redis: its disk is full',
  async inject(world) {
    const part = Buffer.alloc(256 * 1024)
    try {
      for (let parts = 0; parts < SIZE_MB * 8; parts++) {
        writeFileSync(ballast(world), part, { flag: 'a' })
      }
    } catch {
      // Full.
    }
  },
  async heal(world) {
    rmSync(ballast(world), { force: true })
  },
}
