import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createLog } from '../../actors/log.ts'
import { UsageError } from '../../actors/errors.ts'
import { checkBinding } from '../../actors/binding.ts'
import { openWeb, post, type Web } from './setup.ts'

const token = 'canary-4711-canary'

let web: Web
afterEach(() => web.end())

describe('without a token', () => {
  beforeEach(async () => {
    web = await openWeb('guard')
  })

  test.each(['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.8.8.8'])(
    'control works from %s',
    async (from) => {
      expect((await web.ask('/api/pause', post({}), from)).status).toBe(200)
    },
  )

  test.each(['10.0.0.7', '::ffff:10.0.0.7', '1270.0.0.1', null])(
    'control is refused from %s',
    async (from) => {
      const answer = await web.ask('/api/pause', post({}), from)
      expect(answer.status).toBe(403)
      expect(await answer.json()).toMatchObject({ error: { code: 'loopback_only' } })
    },
  )

  test.each([
    ['localhost:8080', 200],
    ['127.0.0.1:8080', 200],
    ['[::1]:8080', 200],
    ['10.1.2.3', 200],
    ['millrace:8080', 200],
    ['evil.example', 403],
    ['evil.example:8080', 403],
    ['127.0.0.1.evil.example', 403],
    ['localhost@evil.example', 403],
  ])('Host %s is %d', async (host, status) => {
    const answer = await web.ask('/api/status', { headers: { Host: host } })
    expect(answer.status).toBe(status)
  })

  test.each([
    { Origin: 'http://evil.example' },
    { Origin: 'null' },
    { Origin: 'http://localhost:9999' },
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
  ])('control from another origin is refused: %j', async (headers) => {
    const init = post({}, { Host: 'localhost:8080', ...(headers as Record<string, string>) })
    const answer = await web.ask('/api/pause', init)
    expect(answer.status).toBe(403)
    expect(await answer.json()).toMatchObject({ error: { code: 'other_origin' } })
  })

  test('control from our own page works', async () => {
    const own = { Host: 'localhost:8080', Origin: 'http://localhost:8080' }
    const init = post({}, { ...own, 'Sec-Fetch-Site': 'same-origin' })
    expect((await web.ask('/api/pause', init)).status).toBe(200)
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'a body of %s is refused',
    async (type) => {
      const answer = await web.ask('/api/pause', post('{}', { 'Content-Type': type }))
      expect(answer.status).toBe(415)
      expect(await answer.json()).toMatchObject({ error: { code: 'json_only' } })
    },
  )

  test('a body of more than 64 KB is refused', async () => {
    const answer = await web.ask('/api/executors', post(`{"min":0${' '.repeat(70_000)},"max":1}`))
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({ error: { code: 'body_too_large' } })
  })

  test.each(['/', '/api/status', '/nothing', '/app.js'])(
    '%s carries a policy without inline script, and nothing for other origins',
    async (path) => {
      const { headers } = await web.ask(path, { headers: { Origin: 'http://evil.example' } })
      const policy = headers.get('content-security-policy')!
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("script-src 'self'")
      expect(policy).not.toContain('unsafe')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('access-control-allow-origin')).toBeNull()
    },
  )

  test('the page has no inline script, style or handler', async () => {
    const html = await (await web.ask('/')).text()
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)[^>]*>/)
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=/)
    expect(html).not.toMatch(/https?:\/\//)
  })
})

describe('with a token', () => {
  beforeEach(async () => {
    web = await openWeb('guard', { token })
  })

  test.each([
    [{}, 401],
    [{ Authorization: 'Bearer wrong' }, 401],
    [{ Authorization: `Basic ${token}` }, 401],
    [{ Authorization: `Bearer ${token}x` }, 401],
    [{ Authorization: `Bearer ${token}` }, 200],
    [{ Authorization: `bearer ${token}` }, 200],
  ])('control with %j is %d', async (headers, status) => {
    const init = post({}, headers)
    expect((await web.ask('/api/pause', init, '10.0.0.7')).status).toBe(status)
  })

  test('it is not needed to look, and is in no answer', async () => {
    for (const path of ['/', '/api/status', '/openapi.json', '/metrics', '/app.js']) {
      const answer = await web.ask(path, {}, '10.0.0.7')
      expect(answer.status).toBe(200)
      expect(await answer.text()).not.toContain(token)
    }
    const refused = await web.ask('/api/pause', post({}), '10.0.0.7')
    expect(await refused.text()).not.toContain(token)
  })
})

describe('binding', () => {
  beforeEach(async () => {
    web = await openWeb('guard')
  })

  test.each(['0.0.0.0', '::', '192.168.1.7', 'millrace.example'])('%s needs a token', (host) => {
    expect(() => checkBinding(host, undefined)).toThrow(UsageError)
    expect(() => checkBinding(host, token)).not.toThrow()
  })

  test.each(['127.0.0.1', 'localhost', '::1'])('%s does not', (host) => {
    expect(() => checkBinding(host, undefined)).not.toThrow()
  })
})

test('calls that are refused leave one line in the log, without what was given as a token', async () => {
  const lines: string[] = []
  const log = createLog('web', 'info', (line) => void lines.push(line), false)
  web = await openWeb('guard', { token, log })
  const guess = { Authorization: 'Bearer guessed-4711-guessed' }
  for (let i = 0; i < 5; i++) {
    expect((await web.ask('/api/pause', post({}, guess), '10.0.0.7')).status).toBe(401)
  }
  expect((await web.ask('/api/pause', post({}, { Authorization: `Bearer ${token}` }))).status).toBe(
    200,
  )
  const refused = lines.filter((line) => line.includes('refused'))
  expect(refused).toHaveLength(1)
  expect(refused[0]).toContain('POST /api/pause')
  expect(refused[0]).toContain('10.0.0.7')
  expect(lines.join()).not.toMatch(/guessed|canary/)
})
