/**
 * A job's code as one hash: of its file and of what it imports beside it, without comments and spaces, so
 * that another hash means that records may be judged otherwise from then on. Packages are left out, and what
 * the environment says.
 */
import { realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

export interface Code {
  hash: string
  /** Its files, each with its size and when it was written: while these are the same, so is the hash. */
  files: string
}

/** Null where it can't be told; the job runs nevertheless. */
export async function codeOf(file: string): Promise<Code | null> {
  try {
    const built = await Bun.build({
      entrypoints: [resolve(file)],
      target: 'bun',
      packages: 'external',
      metafile: true,
      minify: { whitespace: true, syntax: false, identifiers: false },
    })
    const [output] = built.outputs
    if (!output) return null
    const paths = Object.keys(built.metafile?.inputs ?? {}).map((path) => realpathSync(path))
    return {
      hash: Bun.hash(await output.text()).toString(16),
      files: JSON.stringify(stamped(paths)),
    }
  } catch {
    return null
  }
}

type Stamped = [path: string, bytes: number, writtenAt: number][]

const stamped = (paths: readonly string[]): Stamped =>
  paths.map((path) => {
    const { size, mtimeMs } = statSync(path)
    return [path, size, mtimeMs]
  })

/**
 * Whether a file's code is another one than it was. It is read only where its files are not as they were: to
 * read it takes longer than all the rest of a start. No where the code was that of another file.
 */
export async function hasChanged(file: string, { hash, files }: Code): Promise<boolean> {
  const before = JSON.parse(files) as Stamped
  const own = realpathSync(file)
  if (before.every(([path]) => path !== own) || isUntouched(before)) return false
  const now = await codeOf(file)
  return now !== null && now.hash !== hash
}

function isUntouched(before: Stamped): boolean {
  try {
    return Bun.deepEquals(stamped(before.map(([path]) => path)), before)
  } catch {
    // One of them is gone.
    return false
  }
}
