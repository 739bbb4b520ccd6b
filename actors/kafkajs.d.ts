/** The internals of kafkajs 2.2.4 that are used; it is pinned exactly for that reason. */
declare module 'kafkajs/src/protocol/encoder' {
  export default class Encoder {
    writeInt8(value: number): Encoder
    writeInt16(value: number): Encoder
    writeInt32(value: number): Encoder
    writeInt64(value: number | string): Encoder
    writeBuffer(value: Buffer): Encoder
    writeBufferInternal(value: Buffer): void
  }
}
declare module 'kafkajs/src/protocol/requests' {
  export const requests: { Fetch: unknown; OffsetCommit: unknown }
}
declare module 'kafkajs/src/protocol/error' {
  export function createErrorFromCode(code: number): Error & { type: string; retriable: boolean }
}
declare module 'kafkajs/src/network/requestQueue' {
  export default class RequestQueue {
    pending: unknown[]
    inflight: Map<number, { sentAt: number; requestTimeout: number; timeoutRequest(): void }>
    /** Ours: when the connection last brought something. */
    heardAt?: number
    requestTimeoutIntervalId: ReturnType<typeof setTimeout> | null
    isConnected(): boolean
    destroy(): void
    scheduleRequestTimeoutCheck(): void
    scheduleCheckPendingRequests(): void
  }
}
declare module 'kafkajs/src/network/connection' {
  import type RequestQueue from 'kafkajs/src/network/requestQueue'
  export default class Connection {
    requestQueue: RequestQueue
    socket: unknown
    /** Set while a handshake is under way. */
    authHandlers: unknown
    /** What came and is not a whole answer yet. */
    chunks: Buffer[]
    bytesBuffered: number
    /** Ours: an answer that is not complete yet; a connection that is made anew begins anew. */
    assembly?: { socket: unknown; answer: Buffer; filled: number } | undefined
    processData(bytes: Buffer): void
  }
}
