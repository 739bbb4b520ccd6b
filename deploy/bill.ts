/**
 * What the image has of others, as a CycloneDX 1.6 bill of materials: each package that a production install
 * brings, with its version, its hash and who needs it. The same lockfile gives the same text. Pure.
 *
 *   package.json's dependencies → bun.lock, followed → components and their graph
 */
import * as v from 'valibot'

const names = v.optional(v.record(v.string(), v.string()), {})
const needsSchema = v.object({ dependencies: names, optionalDependencies: names })
/** Name and version, registry (empty for the usual one), what it needs, and its hash. */
const packageSchema = v.tuple([v.string(), v.string(), needsSchema, v.string()])
const lockSchema = v.object({
  workspaces: v.object({ '': v.object({ name: v.string(), ...needsSchema.entries }) }),
  packages: v.record(v.string(), packageSchema),
})
type Lock = v.InferOutput<typeof lockSchema>

const manifestSchema = v.object({
  version: v.string(),
  license: v.string(),
  description: v.string(),
})
type Manifest = v.InferOutput<typeof manifestSchema>

/** A package of the lockfile, and whether some machines do without it. */
interface Part {
  key: string
  optional: boolean
}

/** The bill, as text, of a lockfile and the package.json beside it. */
export function billOf(lockText: string, manifestText: string): string {
  // The lockfile has commas behind last items.
  const lock = v.parse(lockSchema, Bun.JSONC.parse(lockText))
  const manifest = v.parse(manifestSchema, JSON.parse(manifestText))
  const parts = partsOf(lock)
  const { name, dependencies, optionalDependencies } = lock.workspaces['']
  const direct = { ...dependencies, ...optionalDependencies }
  const own = `pkg:npm/${name}@${manifest.version}`
  const graph = parts.map(({ key }) => {
    const [, , needs] = lock.packages[key]!
    const wanted = { ...needs.dependencies, ...needs.optionalDependencies }
    return { ref: purlOf(lock, key), dependsOn: refsOf(lock, key, wanted) }
  })
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: ownComponent(own, name, manifest) },
    components: parts.map((part) => componentOf(lock, part)),
    dependencies: [{ ref: own, dependsOn: refsOf(lock, '', direct) }, ...graph],
  }
  return `${JSON.stringify(bill, null, 2)}\n`
}

function ownComponent(ref: string, name: string, { version, license, description }: Manifest) {
  const licenses = [{ license: { id: license } }]
  return { type: 'application', 'bom-ref': ref, name, version, description, licenses, purl: ref }
}

/** Everything that is needed at run time, in the order of names; what all ways to it call optional is so. */
function partsOf(lock: Lock): Part[] {
  const found = new Map<string, Part>()
  const visit = (from: string, wanted: Record<string, string>, optional: boolean) => {
    for (const name of Object.keys(wanted)) {
      const key = keyOf(lock, from, name)
      const known = found.get(key)
      if (known && (optional || !known.optional)) continue
      found.set(key, { key, optional })
      const [, , needs] = lock.packages[key]!
      visit(key, needs.dependencies, optional)
      visit(key, needs.optionalDependencies, true)
    }
  }
  const { dependencies, optionalDependencies } = lock.workspaces['']
  visit('', dependencies, false)
  visit('', optionalDependencies, true)
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** As node finds it: beside whoever asks, or further up. */
function keyOf({ packages }: Lock, from: string, name: string): string {
  for (let at = from; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    if (packages[`${at}/${name}`]) return `${at}/${name}`
  }
  if (packages[name]) return name
  throw new Error(`bun.lock has no ${name}, which ${from || 'package.json'} needs`)
}

const refsOf = (lock: Lock, from: string, wanted: Record<string, string>): string[] =>
  Object.keys(wanted)
    .map((name) => purlOf(lock, keyOf(lock, from, name)))
    .sort()

function componentOf(lock: Lock, { key, optional }: Part) {
  const [spec, , , integrity] = lock.packages[key]!
  const { group, name, version } = identityOf(spec)
  const purl = purlOf(lock, key)
  return {
    type: 'library',
    'bom-ref': purl,
    ...(group && { group }),
    name,
    version,
    scope: optional ? 'optional' : 'required',
    hashes: [hashOf(integrity)],
    purl,
  }
}

function purlOf(lock: Lock, key: string): string {
  const { group, name, version } = identityOf(lock.packages[key]![0])
  return `pkg:npm/${group ? `${encodeURIComponent(group)}/` : ''}${name}@${version}`
}

/** `@group/name@version`. */
function identityOf(spec: string) {
  const [, group = '', name = '', version = ''] = /^(?:(@[^/]+)\/)?([^@]+)@(.+)$/.exec(spec) ?? []
  return { group, name, version }
}

function hashOf(integrity: string) {
  const [, algorithm = '', base64 = ''] = /^(sha\d+)-(.+)$/.exec(integrity) ?? []
  const alg = algorithm.toUpperCase().replace('SHA', 'SHA-')
  return { alg, content: Buffer.from(base64, 'base64').toString('hex') }
}
