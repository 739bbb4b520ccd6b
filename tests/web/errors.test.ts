/**
 * Whatever is asked wrongly is told in one form, and nothing is said to other origins.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import * as v from 'valibot'
import { readConfig } from '../../actors/config.ts'
import { openStore } from '../../actors/redis.ts'
import { freePort } from '../../services/ports.ts'
import { errorSchema } from '../../web/schemas.ts'
import { silentLog } from './seed.ts'
import { openWeb, post, type Web } from './setup.ts'

let web: Web
beforeEach(async () => {
  web = await openWeb('errors')
})
afterEach(() => web.end())

const answers = 'job history status executors windows windows/totals decisions cost loop rejects'
const reads = [...answers.split(' '), 'events']
const controls = ['executors', 'executors/e1/drain', 'pause', 'resume']

async function refusal(response: Response): Promise<[status: number, code: string]> {
  expect(response.headers.get('content-type')).toContain('application/json')
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  const body: unknown = await response.json()
  const { error } = v.parse(errorSchema, body)
  expect(body).toEqual({ error: { code: error.code, message: error.message } })
  expect(error.message).not.toBe('')
  return [response.status, error.code]
}

describe('a question that can not be used', () => {
  test.each(reads)('GET /api/%s refuses fields that it does not know', async (name) => {
    for (const field of ['color', '__proto__', 'constructor', 'toString', 'limit%00']) {
      const answer = await web.ask(`/api/${name}?${field}=1`)
      expect([field, ...(await refusal(answer))]).toEqual([field, 400, 'bad_request'])
    }
    expect(web.feed.size).toBe(0)
  })

  test.each(['limit', 'cursor', 'state', 'from', 'to', 'who'])(
    'a field given twice is refused: %s',
    async (field) => {
      const answer = await web.ask(`/api/windows?${field}=closed&${field}=closed`)
      expect(await refusal(answer)).toEqual([400, 'bad_request'])
    },
  )

  test.each([
    '/%',
    '/api/%E0%A4%A',
    '/api/status?%zz',
    '/api/windows?who=%C3%28',
    '/api/executors/%ff/drain',
  ])('percent-encoding that is broken is refused: %s', async (path) => {
    for (const init of [{}, post({})]) {
      expect(await refusal(await web.ask(path, init))).toEqual([400, 'bad_request'])
    }
  })

  test.each(['pause', 'resume', 'executors/e1/drain'])(
    'a body that %s does not need',
    async (name) => {
      for (const body of ['{', 'nothing', '[]', 'null', '{"paused":false}', '"x"']) {
        const answer = await web.ask(`/api/${name}`, post(body))
        expect([body, ...(await refusal(answer))]).toEqual([body, 400, 'bad_request'])
      }
      const answer = await web.ask(`/api/${name}?force=1`, post({}))
      expect(await refusal(answer)).toEqual([400, 'bad_request'])
      expect(await web.seeded.store.redis.exists(web.seeded.keys.control)).toBe(0)
    },
  )

  test.each(controls)('a body for %s that is too large, told or not', async (name) => {
    const large = ' '.repeat(70_000)
    const answer = await web.ask(`/api/${name}`, post(large))
    expect(await refusal(answer)).toEqual([413, 'body_too_large'])
    const pieces = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(large))
        controller.close()
      },
    })
    const untold = { ...post(''), body: pieces }
    expect(await refusal(await web.ask(`/api/${name}`, untold))).toEqual([413, 'body_too_large'])
  })
})

describe('what is not there', () => {
  test.each([
    '/nothing',
    '/api',
    '/api/',
    '/api/status/',
    '/API/status',
    '/app.js/',
    '/page/index.html',
  ])('%s', async (path) => {
    for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE']) {
      expect(await refusal(await web.ask(path, { method }))).toEqual([404, 'not_found'])
    }
    const head = await web.ask(path, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([404, ''])
  })

  test('methods: what a path allows is said, and nothing else is done', async () => {
    for (const path of [...reads.map((name) => `/api/${name}`), '/healthz', '/metrics', '/']) {
      for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const answer = await web.ask(path, { method })
        expect(answer.headers.get('allow')).toContain('GET, HEAD')
        expect([path, ...(await refusal(answer))]).toEqual([path, 405, 'method_not_allowed'])
      }
    }
    for (const name of controls.filter((name) => name !== 'executors')) {
      for (const method of ['GET', 'OPTIONS', 'PUT']) {
        const answer = await web.ask(`/api/${name}`, { method })
        expect(answer.headers.get('allow')).toBe('POST')
        expect(await refusal(answer)).toEqual([405, 'method_not_allowed'])
      }
      expect((await web.ask(`/api/${name}`, { method: 'HEAD' })).status).toBe(405)
    }
  })

  test('HEAD is GET without its body; of the events it takes no place', async () => {
    for (const name of reads) {
      const answer = await web.ask(`/api/${name}`, { method: 'HEAD' })
      expect([name, answer.status, await answer.text()]).toEqual([name, 200, ''])
    }
    expect(web.feed.size).toBe(0)
  })
})

test('a Redis that is away is one answer for every path', async () => {
  const config = readConfig({ REDIS_URL: `redis://127.0.0.1:${await freePort()}` })
  const away = await openWeb('errors-away', { store: openStore(config, silentLog) })
  const asked = [
    ...reads
      .filter((name) => name !== 'events' && name !== 'job')
      .map((name) => away.ask(`/api/${name}`)),
    away.ask('/api/executors', post({ min: 0, max: 1 })),
    ...controls.slice(1).map((name) => away.ask(`/api/${name}`, post({}))),
  ]
  for (const answer of await Promise.all(asked)) {
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(await refusal(answer)).toEqual([503, 'redis_unavailable'])
  }
  await away.end()
})

describe('other origins', () => {
  const origin = { Origin: 'http://evil.example' }

  test('are told nothing by any path, asked in any way', async () => {
    const paths = [...reads, ...controls].map((name) => `/api/${name}`)
    for (const path of [...paths, '/', '/app.js', '/metrics', '/openapi.json', '/healthz', '/no']) {
      for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT']) {
        const gone = new AbortController()
        const init = { method, headers: origin, signal: gone.signal }
        const { headers } = await web.ask(path, init)
        gone.abort()
        const names = [...headers.keys()].filter((name) => name.startsWith('access-control-'))
        expect([method, path, names]).toEqual([method, path, []])
        expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
      }
    }
  })

  test.each(controls)('a preflight for %s is refused', async (name) => {
    const asks = {
      ...origin,
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'authorization,content-type',
      'Access-Control-Request-Private-Network': 'true',
    }
    const answer = await web.ask(`/api/${name}`, { method: 'OPTIONS', headers: asks })
    expect(await refusal(answer)).toEqual([405, 'method_not_allowed'])
  })
})

describe('by hand, over a socket', () => {
  let server: Bun.Server<undefined>
  beforeEach(() => {
    server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: web.app.fetch })
  })
  afterEach(() => server.stop(true))

  /** What the server says to a request that no client would send. */
  function say(...lines: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(server.port!, '127.0.0.1')
      let answer = ''
      socket.on('data', (chunk) => (answer += chunk.toString()))
      socket.on('close', () => resolve(answer))
      socket.on('error', reject)
      socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`)
    })
  }

  test.each([
    ['none', []],
    ['an empty one', ['Host: ']],
    ['one that is no name', ['Host: a b']],
    ['two', ['Host: localhost', 'Host: evil.example']],
    ['one with a user', ['Host: localhost@evil.example']],
  ])('Host: %s is refused', async (_, hosts) => {
    const answer = await say('GET /api/status HTTP/1.0', ...hosts)
    expect(answer).toStartWith('HTTP/1.1 403 ')
    expect(answer).toContain('"code":"host_not_allowed"')
  })

  test.each([
    '/../package.json',
    '/../../../../etc/passwd',
    '//etc/passwd',
    '/%2e%2e/%2e%2e/package.json',
    '/..%2fpackage.json',
    String.raw`/..\package.json`,
    '/..%5cpackage.json',
    '/app.js/../../package.json',
    '/app.js%00.html',
    '/page/app.js',
    '/web/main.ts',
    '/node_modules/uplot/package.json',
  ])('no way to files: %s', async (path) => {
    const answer = await say(`GET ${path} HTTP/1.1`, 'Host: localhost')
    expect(answer).toStartWith('HTTP/1.1 404 ')
    expect(answer).toContain('"code":"not_found"')
  })
})
