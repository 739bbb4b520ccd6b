/**
 * deploy/Dockerfile without an engine: what it copies, copied into an empty folder, and its program started
 * there as the container would be: as another user, without rights, on a root file system that is read-only.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Subprocess } from 'bun'

export const root = resolve(import.meta.dir, '../..')

export interface Instruction {
  name: string
  /** Words behind the name; of an exec form, its words. */
  words: string[]
}

/** The stages of a Dockerfile, each from its FROM on. */
export function stagesOf(text: string): Instruction[][] {
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
  const stages: Instruction[][] = []
  for (const line of lines) {
    const [name = '', ...rest] = line.trim().split(/\s+/)
    const words = rest[0]?.startsWith('[') ? (JSON.parse(rest.join(' ')) as string[]) : rest
    if (name === 'FROM') stages.push([])
    stages.at(-1)?.push({ name, words })
  }
  return stages
}

export const dockerfile = () => stagesOf(readFileSync(join(root, 'deploy/Dockerfile'), 'utf8'))

/** Names in the build's context; the file is a list of what is let in. */
export const context = () =>
  readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))

/** Carries out COPY and `bun install` of both stages: `folder` is then the image's /app. */
export async function replay(folder: string): Promise<void> {
  for (const stage of dockerfile()) {
    for (const { name, words } of stage) {
      if (name === 'COPY') copy(words, folder)
      if (name === 'RUN' && words[0] === 'bun') await install(words, folder)
    }
  }
}

/** From the context, which has no more than .dockerignore lets in; node_modules are there already. */
function copy(words: string[], folder: string): void {
  if (words[0]?.startsWith('--from=')) return
  const names = words.slice(0, -1)
  const to = words.at(-1)!
  for (const name of names) {
    if (!context().includes(name)) throw new Error(`.dockerignore keeps ${name} out`)
    const target = to.endsWith('/') ? join(folder, to, name) : join(folder, to)
    mkdirSync(dirname(target), { recursive: true })
    cpSync(join(root, name), target, { recursive: true })
  }
}

async function install([, ...args]: string[], folder: string): Promise<void> {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: folder,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const said = new Response(child.stderr).text()
  if ((await child.exited) !== 0) throw new Error(`bun ${args.join(' ')}: ${await said}`)
}

/** ENV of the last stage. */
export function environmentOf(stages: Instruction[][]): Record<string, string> {
  const words = stages.at(-1)!.flatMap(({ name, words }) => (name === 'ENV' ? words : []))
  return Object.fromEntries(words.map((word) => word.split('=') as [string, string]))
}

/** What makes a container of this process, and becomes the program; arguments: app, bun, arguments. */
const script = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/app && touch /mnt/bun
mount --bind "$1" /mnt/app
mount -o remount,bind,ro /mnt/app
mount --bind "$2" /mnt/bun
mount -o remount,ro /mnt
mount -t tmpfs -o size=16m,mode=1777 tmpfs /tmp
mount -o remount,bind,ro /
cd /mnt/app
shift 2
exec setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs --inh-caps=-all \\
  --bounding-set=-all /mnt/bun cli/main.ts "$@"
`

/** Whether this machine lets us; said once, loudly, where it does not. */
export const canIsolate = isolates()

function isolates(): boolean {
  const tried = Bun.which('setpriv') && Bun.which('unshare')
  const probe = 'mount --make-rprivate / && mount -t tmpfs tmpfs /mnt'
  const fine = tried && Bun.spawnSync(['unshare', '--mount', 'sh', '-c', probe]).exitCode === 0
  if (!fine) {
    process.stderr.write(
      'NOT CHECKED: a read-only root and another user, for want of the right to mount (root on Linux)\n',
    )
  }
  return fine === true
}

/** The image's entry point with arguments. */
export function run(
  folder: string,
  args: string[],
  environment: Record<string, string> = {},
): Subprocess<'ignore', 'pipe', 'pipe'> {
  const isolated = ['unshare', '--mount', 'sh', '-c', script, 'sh', folder, process.execPath]
  const plain = [process.execPath, join(folder, 'cli/main.ts')]
  return Bun.spawn([...(canIsolate ? isolated : plain), ...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: '/home/bun',
      ...environmentOf(dockerfile()),
      ...environment,
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
}

/** All files of a folder, by their paths from there. */
export const filesIn = (folder: string): string[] =>
  existsSync(folder) ? (readdirSync(folder, { recursive: true }) as string[]) : []
