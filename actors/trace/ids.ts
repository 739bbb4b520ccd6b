/**
 * The identity of an entry's trace, from what bridge and executors both know of the entry. So nothing
 * has to travel in it, both come to the same answer whether it is traced, and an entry that is
 * delivered twice has both deliveries in its one trace. Pure.
 */

/** Bridge and executors must agree on it, also in different versions of Bun: SHA-1 stays what it is. */
const digest = (text: string): Buffer => {
  const bytes = Bun.SHA1.hash(text)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const WORD = 2 ** 48

export interface TraceIds {
  traceId: string
  /** The bridge's span, which the executors' spans have for a parent. */
  rootId: string
}

/** Null for an entry that is not among the share (0 to 1) that is traced. `from`: its first offset. */
export function traceOf(job: string, partition: number, from: number, share: number) {
  const key = `${job}\0${partition}\0${from}`
  const trace = digest(key)
  // The rightmost bits are what samplers behind us (W3C's `random`) go by too.
  if (trace.readUIntBE(10, 6) / WORD < 1 - share) return null
  const ids: TraceIds = { traceId: trace.toString('hex', 0, 16), rootId: spanId(key, 'append') }
  return ids
}

/** Of one step; the same step of the same delivery has the same id again. */
export const spanId = (...parts: (string | number)[]): string =>
  digest(parts.join('\0')).toString('hex', 0, 8)
