/** The one internal of kafkajs 2.2.4 that the verification uses; it is pinned exactly. */
declare module 'kafkajs/src/protocol/recordBatch/v0/decoder' {
  export default function decodeBatch(decoder: {
    buffer: Buffer
    offset: number
  }): Promise<{ records: unknown[] }>
}
