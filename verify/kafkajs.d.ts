/** The internals of kafkajs 2.2.4 that the verification uses, and its tests; it is pinned exactly. */
declare module 'kafkajs/src/protocol/recordBatch/v0/decoder' {
  export default function decodeBatch(decoder: {
    buffer: Buffer
    offset: number
  }): Promise<{ records: unknown[] }>
}
declare module 'kafkajs/src/protocol/decoder' {
  export default class Decoder {
    buffer: Buffer
    offset: number
    constructor(buffer: Buffer)
  }
}
