/**
 * The code of bridge and executor as one file of bytecode each. A process that loads it is there after
 * less than half the processor time that loading the sources takes: an executor 53 ms in place of 125, a
 * bridge 70 in place of 155, most of it ioredis.
 *
 *   sources, lock file, Bun's version → hash → .millrace/compiled/<hash>/actors/<kind>/main.js
 *
 * Made once for a version of the code, by a process of its own in the background, and used by all children
 * from then on. Until it is there, and where it can't be made, the sources run.
 */
import { existsSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import type { Log } from '../actors/log.ts'

export const compiledKinds = ['executor', 'bridge'] as const
export type CompiledKind = (typeof compiledKinds)[number]

export const compiledFolder = (root: string): string => join(root, '.millrace', 'compiled')

/** What is running decides, not what is asked for: it is of one version as its supervisor is. */
export class Compiled {
  readonly #root: string
  readonly #folder: string
  #making: Bun.Subprocess | null = null

  constructor(root: string) {
    this.#root = root
    this.#folder = join(compiledFolder(root), versionOf(root))
  }

  /** The script that is an actor of this kind. */
  script(kind: CompiledKind): string {
    const source = join('actors', kind, 'main')
    const compiled = join(this.#folder, `${source}.js`)
    // Looked at each time: it comes while we run, and somebody may clear the folder.
    return existsSync(compiled) ? compiled : join(this.#root, `${source}.ts`)
  }

  /** Makes what is missing, with whatever processor time nobody else wants; ends when we do. */
  make(log: Log): void {
    if (this.#making || existsSync(this.#folder)) return
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'compile.ts'), this.#folder], {
      cwd: this.#root,
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
      onExit: (_, code) => {
        if (code !== 0 && code !== null) void tell()
      },
    })
    const tell = async () => {
      const reason = (await new Response(child.stderr).text()).trim().split('\n').at(-1)
      log.debug('children run from their sources: they could not be compiled', { reason })
    }
    child.unref()
    this.#making = child
    try {
      setPriority(child.pid, 19)
    } catch {
      // It has ended, or the system does not let us.
    }
  }

  /** Awaited, because what has so little processor time also takes long to end. */
  async end(): Promise<void> {
    this.#making?.kill()
    await this.#making?.exited
  }
}

/** Everything that the compiled files are made from, but for what users write. */
function versionOf(root: string): string {
  const hash = new Bun.CryptoHasher('sha256')
  hash.update(`${Bun.version} ${Bun.revision} ${process.platform} ${process.arch} ${root}`)
  const sources = [...new Bun.Glob('actors/**/*.{ts,lua}').scanSync({ cwd: root })].toSorted()
  // The lock file is not everywhere: not in the image, nor in an installed package.
  const about = ['bun.lock', 'package.json'].filter((file) => existsSync(join(root, file)))
  for (const file of [...sources, ...about]) {
    hash.update(`\n${file}\n`)
    hash.update(readFileSync(join(root, file)))
  }
  return hash.digest('hex').slice(0, 16)
}
