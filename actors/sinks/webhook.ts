/**
 * A sink that posts closed windows to an HTTP address, as JSON, in the windows' order. A window of many
 * rows takes several requests.
 *
 *   { "job", "window": { "start", "end" }, "part": 1, "parts": 1, "rows": [ { "start", "end", "key", "values" } ] }
 *
 * At least once: what was posted when the process was killed is posted again. So that a receiver can tell,
 * a request has an `Idempotency-Key` that is the same whenever the same rows are posted again, and another
 * one where a window comes again with other rows (Redis was taken back in time). `Millrace-Signature` is
 * `t=<epoch seconds>,v1=<hex>`, the HMAC-SHA-256 by the secret of `<t>.<body>`: who checks it, and how old
 * `t` is, knows that it is from here and now.
 *
 * Any 2xx takes the rows. 408, 425, 429 and 5xx, and no answer, are asked again, after `Retry-After` where
 * it is given; any other answer refuses them. A redirect is not followed: it is an answer like these.
 */
import { createHmac } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { UsageError } from '../errors.ts'
import { chunked, rowJson, toldWindow } from './rows.ts'
import {
  type ClosedWindow,
  declared,
  type Environment,
  fromEnvironment,
  type Sink,
  type SinkOptions,
  SinkRefusal,
  variableName,
} from './sink.ts'

export interface WebhookOptions extends SinkOptions {
  /** The variable of the environment that has the address, http:// or https://. */
  urlFrom: string
  /** The variable of the environment that has the secret by which requests are signed. */
  secretFrom: string
}

const ROWS_PER_REQUEST = 1_000
const ANSWER_MS = 10_000
/** Of what the receiver says with a refusal. */
const WORDS_MAX = 200
const RETRY_AFTER_SECONDS_MAX = 20

export function webhook(options: WebhookOptions): Sink {
  const base = declared('webhook', options)
  const urlName = variableName(base.name, 'urlFrom', options.urlFrom)
  const secretName = variableName(base.name, 'secretFrom', options.secretFrom)
  return {
    ...base,
    windowsMax: 1,
    address(_, environment) {
      secretOf(base.name, secretName, environment)
      const { origin, pathname } = urlOf(base.name, urlName, environment)
      return `${origin}${pathname}`
    },
    open({ job, environment, clock }) {
      const target: Target = {
        url: urlOf(base.name, urlName, environment).href,
        secret: secretOf(base.name, secretName, environment),
        clock,
      }
      return Promise.resolve({
        async write({ windows }, signal) {
          for (const window of windows) {
            for (const body of bodiesOf(job.name, window)) await post(target, body, signal)
          }
        },
        close: () => Promise.resolve(),
      })
    },
  }
}

interface Target {
  url: string
  secret: string
  clock: Clock
}

interface Body {
  key: string
  text: string
}

function* bodiesOf(job: string, window: ClosedWindow): Generator<Body> {
  const told = toldWindow(window)
  const chunks = chunked(window.rows, ROWS_PER_REQUEST)
  for (const [place, rows] of chunks.entries()) {
    const about = JSON.stringify({
      job,
      window: told,
      part: place + 1,
      parts: chunks.length,
    })
    const list = rows.map((row) => rowJson(window, row)).join(',')
    const text = `${about.slice(0, -1)},"rows":[${list}]}`
    const hash = new Bun.CryptoHasher('sha256').update(text).digest('hex').slice(0, 16)
    yield { key: `${job}/${told.start}/${place + 1}/${hash}`, text }
  }
}

/** @throws SinkRefusal where the receiver will never take it */
async function post(target: Target, { key, text }: Body, signal: AbortSignal): Promise<void> {
  const { url, secret, clock } = target
  const at = Math.floor(clock.now() / 1_000)
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'Idempotency-Key': key,
      'Millrace-Signature': `t=${at},v1=${signature(secret, at, text)}`,
      'User-Agent': 'millrace',
    },
    body: text,
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  })
  if (response.ok) {
    await response.body?.cancel()
    return
  }
  const { status } = response
  const words = (await response.text()).replace(/\s+/g, ' ').slice(0, WORDS_MAX)
  const said = `it answers ${status}${words === '' ? '' : `: ${words}`}`
  if (status < 500 && ![408, 425, 429].includes(status)) throw new SinkRefusal(said)
  const seconds = Number(response.headers.get('Retry-After') ?? 0)
  if (seconds > 0) await clock.sleep(Math.min(seconds, RETRY_AFTER_SECONDS_MAX) * 1_000, signal)
  throw new Error(said)
}

/** Of a request at an epoch second; its receiver computes the same. */
export const signature = (secret: string, at: number, body: string): string =>
  createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')

function urlOf(sink: string, variable: string, environment: Environment): URL {
  const allowed = 'http://host/path or https://host/path'
  const text = fromEnvironment(sink, variable, environment, allowed)
  const url = URL.canParse(text) ? new URL(text) : null
  if (url && /^https?:$/.test(url.protocol)) return url
  throw new UsageError(`sink ${sink}: ${variable} must be ${allowed}`)
}

function secretOf(sink: string, variable: string, environment: Environment): string {
  const allowed = 'a secret of at least 16 characters'
  const secret = fromEnvironment(sink, variable, environment, allowed)
  if (secret.length >= 16) return secret
  throw new UsageError(`sink ${sink}: ${variable} must be ${allowed}`)
}
