/**
 * One run of a peer: started, followed by what it says on standard output, accounted for, and its
 * rows read when it has ended.
 *
 * The lines that a peer says are {"peer":"records","n":N} from time to time, {"peer":"first"} when its
 * first result is there and {"peer":"done"} when every record's effect is committed.
 */
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { systemClock } from '../../actors/clock.ts'
import { RefusalError } from '../../actors/errors.ts'
import { eachLine } from '../../services/run.ts'
import { dieWithParent } from '../../services/server.ts'
import type { Services } from '../../services/services.ts'
import { type Row, rowSchema } from '../compare.ts'
import { type Round, type Sample, warmPerSecond } from '../round.ts'
import { Usage } from '../usage.ts'
import { type Installed, type Peer, peersHome } from './peer.ts'

export interface PeerRound extends Round {
  rows: Row[]
}

const SAMPLE_EVERY_MS = 50
const TIMEOUT_MS = 20 * 60_000
/** Between a peer's last record and its end: closing files, leaving groups, ending threads. */
const END_TIMEOUT_MS = 60_000

const saidSchema = v.object({
  peer: v.picklist(['records', 'first', 'done']),
  n: v.number(),
})

/** @throws RefusalError when the peer fails, with its last words */
export async function playPeer(
  services: Services,
  peer: Peer,
  installed: Installed,
  topic: string,
  count: number,
): Promise<PeerRound> {
  mkdirSync(peersHome, { recursive: true })
  const dir = mkdtempSync(join(peersHome, `${peer.name}-run-`))
  const rows = join(dir, 'rows')
  const logFile = join(peersHome, `${peer.name}.log`)
  const run = { brokers: services.kafkaBrokers, topic, count, dir, rows }
  try {
    const round = await follow(services, peer, installed.command(run), logFile, count)
    return { ...round, rows: readRows(rows) }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

interface Said {
  samples: Sample[]
  firstSeconds: number | null
  doneSeconds: number | null
}

async function follow(
  services: Services,
  peer: Peer,
  command: string[],
  logFile: string,
  count: number,
): Promise<Round> {
  const usage = new Usage({ kafka: services.kafka.pid })
  const log = openSync(logFile, 'w')
  const started = systemClock.elapsed()
  const child = Bun.spawn([...dieWithParent(), ...command], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: log,
  })
  closeSync(log)
  usage.follow(peer.name, child.pid)
  const said: Said = { samples: [], firstSeconds: null, doneSeconds: null }
  const lines = eachLine(child.stdout, (line) =>
    take(said, line, (systemClock.elapsed() - started) / 1_000),
  )
  try {
    await sampleUntilDone(child, said, usage)
    const cpuMicros = usage.microsPer(count)
    const ended = await within(END_TIMEOUT_MS, child.exited)
    if (ended !== 0 || said.doneSeconds === null) {
      throw new RefusalError(`${peer.label} failed (code ${ended}): ${lastWords(logFile)}`)
    }
    await lines
    return {
      seconds: said.doneSeconds,
      firstResultSeconds: said.firstSeconds ?? said.doneSeconds,
      warmPerSecond: warmPerSecond(said.samples, count, said.doneSeconds),
      cpuMicros,
      peakBytes: usage.peakWithOwnBytes,
    }
  } finally {
    child.kill('SIGKILL')
  }
}

async function sampleUntilDone(
  child: { exited: Promise<number>; exitCode: number | null; signalCode: unknown },
  said: Said,
  usage: Usage,
): Promise<void> {
  const deadline = systemClock.elapsed() + TIMEOUT_MS
  while (said.doneSeconds === null && child.exitCode === null && child.signalCode === null) {
    if (systemClock.elapsed() > deadline) {
      throw new RefusalError(`not done after ${TIMEOUT_MS / 60_000} minutes`)
    }
    usage.sample()
    await systemClock.sleep(SAMPLE_EVERY_MS)
  }
}

function take(said: Said, line: string, seconds: number): void {
  if (!line.startsWith('{"peer"')) return
  const { peer, n } = v.parse(saidSchema, JSON.parse(line))
  switch (peer) {
    case 'records':
      said.samples.push({ seconds, records: n })
      return
    case 'first':
      said.firstSeconds ??= seconds
      return
    case 'done':
      said.doneSeconds ??= seconds
      return
    default:
      peer satisfies never
  }
}

async function within(ms: number, exited: Promise<number>): Promise<number | null> {
  const over = new AbortController()
  try {
    return await Promise.race([exited, systemClock.sleep(ms, over.signal).then(() => null)])
  } finally {
    over.abort()
  }
}

/** In the order of the files' paths, so that later micro-batches come after earlier ones. */
function readRows(path: string): Row[] {
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  const files = isDirectory ? partFiles(path) : [path]
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => v.parse(rowSchema, JSON.parse(line))),
  )
}

/** Files that are not finished, and checksums, have names that begin with a dot. */
function partFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(^|\/)part-[^/]*$/.test(name))
    .sort()
    .map((name) => join(directory, name))
}

function lastWords(logFile: string): string {
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n')
  const telling = lines.findLast((line) => /error|exception|fatal/i.test(line)) ?? lines.at(-1)
  return `${(telling ?? '').trim().slice(0, 300)} (${logFile})`
}
