/**
 * A job's code as one hash: of its file and of what it imports beside it, without comments and spaces, so
 * that another hash means that records may be judged otherwise from then on. Packages are left out, and what
 * the environment says.
 */
import { resolve } from 'node:path'

/** Null where it can't be told; the job runs nevertheless. */
export async function codeOf(file: string): Promise<string | null> {
  try {
    const built = await Bun.build({
      entrypoints: [resolve(file)],
      target: 'bun',
      packages: 'external',
      minify: { whitespace: true, syntax: false, identifiers: false },
    })
    const [output] = built.outputs
    return output ? Bun.hash(await output.text()).toString(16) : null
  } catch {
    return null
  }
}
