/**
 * The peers that can be had here, ready to run. One that can't is said in one line and left out.
 */
import { messageOf } from '../../actors/errors.ts'
import type { Progress } from '../../cli/progress.ts'
import type { PeerName } from '../options.ts'
import { flink } from './flink.ts'
import type { Installed, Peer } from './peer.ts'
import { spark } from './spark.ts'
import { streams } from './streams.ts'

export interface ReadyPeer {
  peer: Peer
  installed: Installed
}

const peers: Record<PeerName, Peer> = { flink, streams, spark }

/** One after the other: their downloads would only share the one line. */
export async function installPeers(names: PeerName[], log: Progress): Promise<ReadyPeer[]> {
  const ready: ReadyPeer[] = []
  for (const name of names) {
    const peer = peers[name]
    try {
      ready.push({ peer, installed: await peer.install(log) })
    } catch (error) {
      log.line(`${peer.label} is left out: ${messageOf(error)}`)
    }
  }
  log.end()
  return ready
}
