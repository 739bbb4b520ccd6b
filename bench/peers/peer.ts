/**
 * What every peer is to the benchmark: something to install, and then a command that does the
 * shipped job over a filled topic, ends by itself and leaves its rows.
 */
import { join } from 'node:path'
import type { Progress } from '../../cli/progress.ts'
import { home } from '../../services/jars.ts'
import type { PeerName } from '../options.ts'

export interface Peer {
  name: PeerName
  label: string
  /** Of the engine, as its pom pins it. */
  version: string
  /** How it was set, for the report. */
  settings: string
  /** What its first result is, for the report. */
  firstResult: string
  /** Fetches and builds what is missing. @throws RefusalError in one line */
  install(log: Progress): Promise<Installed>
}

export interface Installed {
  command(run: PeerRun): string[]
}

export interface PeerRun {
  brokers: string
  topic: string
  count: number
  /** A directory of this run's own, empty. */
  dir: string
  /** Where its rows go, as lines of JSON: a file or a directory of files. */
  rows: string
}

/** Downloads and builds, shared by everything in this checkout. */
export const peersHome = join(home, 'peers')

/** The version that a pom pins for an artifact. */
export function pinnedVersion(pom: string, artifact: string): string {
  const at = pom.indexOf(`<artifactId>${artifact}</artifactId>`)
  const version = /<version>([^<]+)<\/version>/.exec(at < 0 ? '' : pom.slice(at))?.[1]
  if (version === undefined) throw new Error(`no version of ${artifact} in the pom`)
  return version
}
