/**
 * Ports of 127.0.0.1: whether something listens, and free ones that stay free while a server is
 * down between a stop and a start.
 */
import { createServer, connect } from 'node:net'
import { systemClock } from '../actors/clock.ts'

/**
 * Below the range from which systems take the ports of outgoing connections (Linux from 32768,
 * macOS and Windows from 49152): nothing takes the port of a server that is stopped for a moment,
 * and a client that calls such a port can't get connected to itself.
 */
const PORTS = { from: 20_000, to: 32_000 }
const TRIES_MAX = 200
const CONNECT_TIMEOUT_MS = 1_000

export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host })
    const done = (listening: boolean) => {
      socket.destroy()
      resolve(listening)
    }
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => done(false))
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
  })
}

const given = new Set<number>()

/** A port that is free now and that this process has not given out before. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = PORTS.from + Math.floor(systemClock.random() * (PORTS.to - PORTS.from))
    if (given.has(port) || !(await canListen(port))) continue
    given.add(port)
    return port
  }
  throw new Error(`no free port found from ${PORTS.from} to ${PORTS.to}`)
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
