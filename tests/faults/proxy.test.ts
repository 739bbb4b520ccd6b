/**
 * The proxy between the pipeline and its servers, against an echo: what it disturbs, and that it
 * disturbs nothing else.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { systemClock } from '../../actors/clock.ts'
import { Proxy } from '../../faults/proxy.ts'
import { until } from '../../faults/until.ts'

let echo: Server
let heard = ''
let echoed: Socket[] = []
const port = () => (echo.address() as { port: number }).port
const open: { end(): void }[] = []

beforeAll(async () => {
  echo = createServer((socket) => {
    echoed.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1')
      socket.write(bytes)
    })
  })
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
})
afterAll(() => echo.close())
afterEach(() => {
  for (const one of open.splice(0)) one.end()
  for (const socket of echoed) socket.destroy()
  heard = ''
  echoed = []
})

function proxied(target = port()): Proxy {
  const proxy = new Proxy({ target })
  open.push({ end: () => proxy.stop() })
  return proxy
}

/** A client that keeps what it is told. */
function client(proxy: Proxy) {
  const socket = connect({ port: proxy.port, host: '127.0.0.1' })
  const state = { text: '', pieces: 0, closed: false, failed: false, socket }
  socket.on('data', (bytes) => {
    state.text += bytes.toString('latin1')
    state.pieces++
  })
  socket.on('close', () => (state.closed = true))
  socket.on('error', () => (state.failed = true))
  open.push({ end: () => socket.destroy() })
  return state
}

async function answered(proxy: Proxy) {
  const one = client(proxy)
  one.socket.write('hello')
  await until('an echo', () => one.text === 'hello')
  return one
}

test('bytes pass both ways, as many as there are and in order', async () => {
  const one = client(proxied())
  const text = Array.from({ length: 300_000 }, (_, i) => `${i},`).join('')
  one.socket.write(text)
  await until('all of them', () => one.text.length === text.length)
  expect(one.text).toBe(text)
})

test('the end of one side is passed on behind what it sent', async () => {
  const one = await answered(proxied())
  echoed[0]!.end('bye')
  await until('the end', () => one.closed)
  expect(one.text).toBe('hellobye')
})

test('cut: all connections end, new ones work', async () => {
  const proxy = proxied()
  const one = await answered(proxy)
  proxy.cut()
  await until('the cut', () => one.closed)
  expect(proxy.connections).toBe(0)
  await answered(proxy)
})

test('a lost reply: the request arrives, the reply does not, the connection ends', async () => {
  const proxy = proxied()
  const one = await answered(proxy)
  proxy.loseReplies()
  one.socket.write('again')
  await until('the cut', () => one.closed)
  expect(heard).toBe('helloagain')
  expect(one.text).toBe('hello')
  await answered(proxy)
})

test('a black hole takes everything; what was in it stays dead, new connections work', async () => {
  const proxy = proxied()
  const one = await answered(proxy)
  proxy.blackHole()
  one.socket.write('lost')
  const two = client(proxy)
  two.socket.write('lost as well')
  await until('both to be swallowed', () => proxy.counts.swallowedBytes === 16)
  proxy.heal()
  await answered(proxy)
  one.socket.write('more')
  await until('more to be swallowed', () => proxy.counts.swallowedBytes === 20)
  expect([one.text, one.closed, two.text, two.closed]).toEqual(['hello', false, '', false])
  expect(heard).toBe('hellohello')
})

test('a black hole of one direction: requests arrive, replies do not', async () => {
  const proxy = proxied()
  const one = await answered(proxy)
  proxy.blackHole(['replies'])
  one.socket.write('again')
  await until('the reply to be swallowed', () => proxy.counts.swallowedBytes === 5)
  expect([heard, one.text, one.closed]).toEqual(['helloagain', 'hello', false])
})

test('held bytes arrive afterwards', async () => {
  const proxy = proxied()
  const one = await answered(proxy)
  proxy.hold()
  one.socket.write('later')
  const two = client(proxy)
  two.socket.write('two')
  await until('two connections', () => proxy.connections === 2)
  await systemClock.sleep(50)
  expect(heard).toBe('hello')
  proxy.heal()
  await until('both', () => one.text === 'hellolater' && two.text === 'two')
})

test('refused: no new connection, until it is healed; open ones go on', async () => {
  const proxy = proxied()
  const one = await answered(proxy)
  proxy.refuse()
  const two = client(proxy)
  await until('the refusal', () => two.failed)
  one.socket.write('!')
  await until('the old one to go on', () => one.text === 'hello!')
  proxy.heal()
  await answered(proxy)
})

test('latency, slices, and a narrow line', async () => {
  const proxy = proxied()
  const one = await answered(proxy)
  proxy.slow({ latencyMs: 60, jitterMs: 10 })
  let startedAt = systemClock.elapsed()
  one.socket.write('slow')
  await until('the slow echo', () => one.text === 'helloslow', { everyMs: 2 })
  expect(systemClock.elapsed() - startedAt).toBeGreaterThanOrEqual(118)

  proxy.slow({ sliceBytesMax: 3 })
  one.pieces = 0
  one.socket.write('x'.repeat(60))
  await until('the pieces', () => one.text.length === 69)
  expect(one.pieces).toBeGreaterThan(1)

  proxy.slow({ bytesPerSecond: 64 * 1024 })
  startedAt = systemClock.elapsed()
  one.socket.write('y'.repeat(32 * 1024))
  await until('all of it', () => one.text.length === 69 + 32 * 1024)
  expect(systemClock.elapsed() - startedAt).toBeGreaterThan(400)
})

test('a server that is away: the connection ends; aimed at another, new ones go there', async () => {
  const proxy = proxied(1)
  const one = client(proxy)
  await until('the end', () => one.closed)
  proxy.aim(port())
  await answered(proxy)
})
