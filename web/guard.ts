/**
 * Who may ask for what. Every request: a Host that is ours, so that a page of somebody else's can't
 * reach us through a name of its own (DNS rebinding); headers that keep our page to our own files.
 * Control calls besides: same origin, JSON only, a small body, and the token, or without one a caller
 * on this machine.
 */
import { timingSafeEqual } from 'node:crypto'
import { hostname } from 'node:os'
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { getConnInfo } from 'hono/bun'
import { isLoopback } from '../actors/binding.ts'
import { HttpError } from './errors.ts'

export const BODY_BYTES_MOST = 64 * 1024

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Sets the headers of every answer, errors included. */
export const securityHeaders: MiddlewareHandler = async (c, next) => {
  await next()
  c.res.headers.set('Content-Security-Policy', policy)
  c.res.headers.set('X-Content-Type-Options', 'nosniff')
  c.res.headers.set('X-Frame-Options', 'DENY')
  c.res.headers.set('Referrer-Policy', 'no-referrer')
  c.res.headers.set('Cross-Origin-Resource-Policy', 'same-origin')
  c.res.headers.set('Cross-Origin-Opener-Policy', 'same-origin')
  if (!c.res.headers.has('Cache-Control')) c.res.headers.set('Cache-Control', 'no-store')
}

/**
 * Lets requests through whose Host can't be a stranger's: an address, localhost, a name without a
 * dot (nobody can register one), this machine's, or one of `allowed`.
 */
export function hostGuard(allowed: readonly string[]): MiddlewareHandler {
  const names = new Set([...allowed, hostname(), 'localhost'].map((name) => name.toLowerCase()))
  return async (c, next) => {
    const name = hostOf(c)
    if (name === null || !(names.has(name) || isAddress(name) || !name.includes('.'))) {
      throw new HttpError(
        403,
        'host_not_allowed',
        'this Host is not one of ours; name it with --allow-host',
      )
    }
    await next()
  }
}

/** The checks of control calls, in the order in which they are cheap. */
export function controlGuards(token: string | null): MiddlewareHandler[] {
  return [
    sameOrigin,
    token === null ? loopbackOnly : bearer(token),
    jsonOnly,
    bodyLimit({
      maxSize: BODY_BYTES_MOST,
      onError: () => {
        throw new HttpError(413, 'body_too_large', 'the body may have 64 KB at the most')
      },
    }),
  ]
}

/** Browsers say where a request comes from; programs say nothing, and may ask. */
const sameOrigin: MiddlewareHandler = async (c, next) => {
  const origin = c.req.header('Origin')
  const site = c.req.header('Sec-Fetch-Site')
  const ours = origin === undefined || urlHost(origin) === c.req.header('Host')?.toLowerCase()
  if (!ours || (site !== undefined && site !== 'same-origin' && site !== 'none')) {
    throw new HttpError(403, 'other_origin', 'control calls come from our own page or a program')
  }
  await next()
}

const jsonOnly: MiddlewareHandler = async (c, next) => {
  const type = c.req.header('Content-Type')
  const essence = type?.split(';')[0]!.trim().toLowerCase()
  const isEmpty = type === undefined && !c.req.raw.body
  if (!isEmpty && essence !== 'application/json') {
    throw new HttpError(415, 'json_only', 'Content-Type must be application/json')
  }
  await next()
}

const bearer =
  (token: string): MiddlewareHandler =>
  async (c, next) => {
    const given = /^Bearer +(\S+)$/i.exec(c.req.header('Authorization') ?? '')?.[1]
    if (given === undefined || !isSame(given, token)) {
      c.header('WWW-Authenticate', 'Bearer')
      throw new HttpError(401, 'token_needed', 'control calls need Authorization: Bearer <token>')
    }
    await next()
  }

const loopbackOnly: MiddlewareHandler = async (c, next) => {
  const address = addressOf(c)
  if (address === null || !isLoopback(address)) {
    throw new HttpError(403, 'loopback_only', 'without MILLRACE_TOKEN control is local only')
  }
  await next()
}

/** The caller's address; null where the server can't tell, which allows nothing. */
export function addressOf(c: Context): string | null {
  try {
    return getConnInfo(c).remote.address ?? null
  } catch {
    return null
  }
}

/** Compares digests, whose length says nothing of the token's, in constant time. */
function isSame(given: string, token: string): boolean {
  return timingSafeEqual(digest(given), digest(token))
}

const digest = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest()

/** The Host without its port, in lower case; null where it is none. */
function hostOf(c: Context): string | null {
  const host = c.req.header('Host') ?? urlHost(c.req.url) ?? ''
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host)?.[1]?.toLowerCase() ?? null
}

/** host:port of an address or an origin; null for 'null' and for what is none. */
const urlHost = (url: string): string | null => URL.parse(url)?.host || null

const isAddress = (name: string): boolean =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || name.startsWith('[')
