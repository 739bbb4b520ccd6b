/** A command of the model: its place in Redis's command table, and what it does. */
import type { Keyspace } from './keyspace.ts'
import type { Reply } from './reply.ts'

export interface Command {
  /** Arguments at least, without the name. */
  least: number
  /** Whether it changes anything, and whether it is refused when memory is out. */
  access: 'read' | 'write' | 'grow'
  /** The arguments without the name. */
  run: (space: Keyspace, args: string[]) => Reply
}

export type Commands = Record<string, Command>

const command =
  (access: Command['access']) =>
  (least: number, run: Command['run']): Command => ({ least, access, run })

export const read = command('read')
/** Changes, but needs no memory. */
export const write = command('write')
export const grow = command('grow')
