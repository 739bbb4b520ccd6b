/**
 * What a pane's groups have got by a batch, as the commit function takes it: two arguments a pane, not two
 * a group, since each argument costs an executor and Redis about as much as the bytes in it. Pure.
 */
import { encodeState, type Sketch } from '../windows/sketches.ts'

export interface Delta {
  key: string
  cells: Float64Array
  sketches: readonly Pick<Sketch, 'encode'>[]
}

/** The pane's start, how many groups, their keys, their states. */
export function paneArguments(start: number, groups: readonly Delta[]): (number | Buffer)[] {
  const isPlain = groups.every(({ sketches }) => sketches.length === 0)
  return [start, groups.length, keysOf(groups), isPlain ? slotsOf(groups) : statesOf(groups)]
}

/** Each behind its u32 length. */
function keysOf(groups: readonly Delta[]): Buffer {
  // A UTF-16 unit is three bytes at the most.
  const most = groups.reduce((sum, { key }) => sum + 4 + 3 * key.length, 0)
  const bytes = Buffer.allocUnsafe(most)
  let at = 0
  for (const { key } of groups) {
    const length = bytes.write(key, at + 4)
    bytes.writeUInt32LE(length, at)
    at += 4 + length
  }
  return bytes.subarray(0, at)
}

/** States that are slots alone, one behind the other. */
function slotsOf(groups: readonly Delta[]): Buffer {
  const slots = new Float64Array(groups.reduce((sum, { cells }) => sum + cells.length, 0))
  let at = 0
  for (const { cells } of groups) {
    slots.set(cells, at)
    at += cells.length
  }
  return Buffer.from(slots.buffer)
}

/** Each behind its u32 length. */
function statesOf(groups: readonly Delta[]): Buffer {
  const parts: Buffer[] = []
  for (const { cells, sketches } of groups) {
    const state = encodeState(cells, sketches)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(state.length)
    parts.push(length, state)
  }
  return Buffer.concat(parts)
}
