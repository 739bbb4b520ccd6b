/** What Kafka says of a record beside its value, as kafkajs has decoded it. */
import type { IHeaders } from 'kafkajs'
import type { Meta } from '../actors/job.ts'

export interface Told {
  /** Epoch ms, in decimal digits. */
  timestamp: string
  key: Buffer | null
  headers?: IHeaders | undefined
}

/** Decoded when it is asked for: most jobs never do. */
export class ToldMeta implements Meta {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly #told: Told | undefined

  constructor(topic: string, partition: number, offset: number, told: Told | undefined) {
    this.topic = topic
    this.partition = partition
    this.offset = offset
    this.#told = told
  }

  get timestamp(): number {
    return Number(this.#told?.timestamp ?? -1)
  }

  get key(): string | null {
    return this.#told?.key?.toString('utf8') ?? null
  }

  get headers(): Record<string, string | null> {
    const headers = Object.entries(this.#told?.headers ?? {})
    return Object.fromEntries(
      headers.map(([name, value]) => {
        const last = Array.isArray(value) ? value.at(-1) : value
        return [name, last === null || last === undefined ? null : last.toString()]
      }),
    )
  }
}
