/**
 * The keys of the model: each holds one kind of value, some have an expiry by the model's clock.
 * A copy shares nothing that changes, so that it can stand for the Redis of another moment.
 */
import { ReplyError, wrongType } from './reply.ts'
import { Stream } from './stream.ts'

export class StringValue {
  constructor(public value: string) {}
  copy(): StringValue {
    return new StringValue(this.value)
  }
}

export class Hash {
  constructor(
    readonly fields = new Map<string, string>(),
    /** A table rather than a list, which HSCAN gives in parts; a list that became one stays one. */
    public large = false,
  ) {}

  set(field: string, value: string): boolean {
    const before = this.fields.size
    this.fields.set(field, value)
    const { size } = this.fields
    // hash-max-listpack-entries and -value of Redis 7.0.
    if (size > 128 || field.length > 64 || value.length > 64) this.large = true
    return size > before
  }

  copy(): Hash {
    return new Hash(new Map(this.fields), this.large)
  }
}

export class Members {
  constructor(readonly members = new Set<string>()) {}
  copy(): Members {
    return new Members(new Set(this.members))
  }
}

export class Scores {
  constructor(readonly scores = new Map<string, number>()) {}
  copy(): Scores {
    return new Scores(new Map(this.scores))
  }
}

export type Holder = StringValue | Hash | Members | Scores | Stream

export class Keyspace {
  /** Epoch ms, standing still while a command or a function runs. */
  now = 0
  /** Streams that the running command has added to. */
  readonly added = new Set<string>()
  #keys = new Map<string, Holder>()
  #expiries = new Map<string, number>()
  /** No key expires before this; so that most commands need not look theirs up. */
  #earliest = Infinity

  find(key: string): Holder | undefined {
    if (this.#earliest < this.now) this.#expireDue()
    return this.#keys.get(key)
  }

  #expireDue(): void {
    this.#earliest = Infinity
    for (const [key, at] of this.#expiries) {
      if (at < this.now) this.delete(key)
      else this.#earliest = Math.min(this.#earliest, at)
    }
  }

  set(key: string, holder: Holder): void {
    this.#keys.set(key, holder)
  }

  delete(key: string): boolean {
    this.#expiries.delete(key)
    return this.#keys.delete(key)
  }

  clear(): void {
    this.#keys.clear()
    this.#expiries.clear()
    this.#earliest = Infinity
  }

  names(): string[] {
    return [...this.#keys.keys()].filter((key) => this.find(key))
  }

  expiry(key: string): number | undefined {
    return this.#expiries.get(key)
  }

  /** `at` in epoch ms; undefined for ever. Whether that changed anything. */
  expire(key: string, at: number | undefined): boolean {
    if (at === undefined) return this.#expiries.delete(key)
    this.#expiries.set(key, at)
    this.#earliest = Math.min(this.#earliest, at)
    return true
  }

  string(key: string): StringValue | undefined {
    const found = this.find(key)
    if (found === undefined || found instanceof StringValue) return found
    throw wrongType()
  }

  hash(key: string): Hash | undefined {
    const found = this.find(key)
    if (found === undefined || found instanceof Hash) return found
    throw wrongType()
  }

  members(key: string): Members | undefined {
    const found = this.find(key)
    if (found === undefined || found instanceof Members) return found
    throw wrongType()
  }

  scores(key: string): Scores | undefined {
    const found = this.find(key)
    if (found === undefined || found instanceof Scores) return found
    throw wrongType()
  }

  stream(key: string): Stream | undefined {
    const found = this.find(key)
    if (found === undefined || found instanceof Stream) return found
    throw wrongType()
  }

  /** The value that `find` gave, or a new one in its place. */
  made<T extends Holder>(key: string, found: T | undefined, make: () => T): T {
    if (found) return found
    const holder = make()
    this.#keys.set(key, holder)
    return holder
  }

  copy(): Keyspace {
    const copy = new Keyspace()
    copy.take(this)
    return copy
  }

  /** Becomes what the other is now. */
  take(other: Keyspace): void {
    this.#keys = new Map()
    for (const [key, holder] of other.#keys) this.#keys.set(key, holder.copy())
    this.#expiries = new Map(other.#expiries)
    this.#earliest = other.#earliest
  }
}

export const noSuchKey = () => new ReplyError('ERR no such key')
