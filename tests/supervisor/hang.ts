/**
 * Runs before an executor (`--preload`) and makes the first one hang while its heart beats: the reply to
 * one call is lost on its way to its promise, which nothing ever settles.
 *
 * MILLRACE_TEST_HANG: a file that does not exist yet; whoever creates it is the one.
 * MILLRACE_TEST_HANGS: `commit`, or `read`.
 */
import { closeSync, openSync } from 'node:fs'
import { Redis } from 'ioredis'

type Send = (command: string, ...args: unknown[]) => Promise<unknown>

const what = process.env.MILLRACE_TEST_HANGS
const isMeant = (command: string, name: unknown): boolean =>
  what === 'read'
    ? command === 'XREADGROUP'
    : command === 'FCALL' && String(name).endsWith('_commit')

const prototype = Redis.prototype as unknown as Record<'call' | 'callBuffer', Send>
for (const method of ['call', 'callBuffer'] as const) {
  const send = prototype[method]
  prototype[method] = function sendOrHang(this: Redis, command, ...args) {
    if (isMeant(command, args[0]) && isFirst()) return new Promise(() => {})
    return send.call(this, command, ...args)
  }
}

function isFirst(): boolean {
  try {
    closeSync(openSync(process.env.MILLRACE_TEST_HANG!, 'wx'))
    return true
  } catch {
    return false
  }
}
