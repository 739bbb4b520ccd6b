/**
 * What REDIS_URL names: one server, a cluster, or a master that Sentinels watch.
 *
 *   redis://user:password@host:6379/0             one server
 *   unix:///run/redis.sock?db=0                   one server of this machine, by its socket
 *   redis://user:password@a:7000,b:7000,c:7000    a cluster, by some of its nodes
 *   redis+cluster://user:password@host:7000       a cluster, by one of its nodes
 *   redis+sentinel://user:password@a:26379,b/name the master of that name, by the Sentinels
 *
 * `rediss` in place of `redis` is TLS, to Sentinels as well. User and password are said once, or the same
 * for each, and are those of the data, not of the Sentinels.
 */
export type RedisAddress =
  | { kind: 'server'; tls: boolean; url: string; at: string }
  | { kind: 'cluster'; tls: boolean; hosts: Host[]; login: Login }
  | { kind: 'sentinel'; tls: boolean; hosts: Host[]; login: Login; master: string }

export interface Host {
  host: string
  port: number
}

export interface Login {
  username?: string
  password?: string
}

export const redisUrlForms =
  'redis://host:port (rediss:// for TLS), unix:///path for a socket, redis://host:port,host:port or redis+cluster://host:port for a cluster, or redis+sentinel://host:port/name'

const REDIS_PORT = 6379
const SENTINEL_PORT = 26_379

/** `scheme://login@hosts/path`; the login ends at the last @, as in any URL. */
const form = /^(rediss?)(?:\+(cluster|sentinel))?:\/\/(?:(\S*)@)?([^\s/@?]+)(?:\/([^\s/?]*))?$/

/** Null where the text is none of the forms. */
export function parseRedisUrl(text: string): RedisAddress | null {
  const parts = text.split(/,\s*(?=rediss?(?:\+\w+)?:\/\/)/)
  // As it always was: query and all are for the client to read.
  if (parts.length === 1 && isServerUrl(text)) {
    const { hostname, port, protocol, pathname } = new URL(text)
    if (protocol === 'unix:') {
      // As ioredis calls it.
      const url = text.slice('unix://'.length)
      return { kind: 'server', tls: false, url, at: pathname }
    }
    const at = `${hostname}:${port || REDIS_PORT}`
    return { kind: 'server', tls: protocol === 'rediss:', url: text, at }
  }
  const parsed = parts.map(partOf)
  const [first] = parsed
  if (!first || !parsed.every((part) => part !== null && goesWith(first, part))) return null
  const hosts = parsed.flatMap((part) => part!.hosts)
  return addressOf(first, hosts)
}

/** Without user and password, for messages. */
export function addressText(address: RedisAddress): string {
  if (address.kind === 'server') return address.at
  const hosts = address.hosts.map(({ host, port }) => `${host}:${port}`).join()
  return address.kind === 'sentinel' ? `${address.master} (Sentinel ${hosts})` : hosts
}

interface Part {
  tls: boolean
  mode: 'cluster' | 'sentinel' | undefined
  login: Login | null
  hosts: Host[]
  path: string
}

const isServerUrl = (text: string) =>
  /^(rediss?:\/\/\S+|unix:\/\/\/[^\s/?]\S*)$/.test(text) && URL.canParse(text)

function partOf(text: string): Part | null {
  const [, scheme, mode, login, names, path = ''] = form.exec(text) ?? []
  if (!scheme || !names) return null
  const defaultPort = mode === 'sentinel' ? SENTINEL_PORT : REDIS_PORT
  const hosts = names.split(',').map((name) => hostOf(name, defaultPort))
  const given = loginOf(login)
  if (given === undefined || !hosts.every((host) => host !== null)) return null
  const tls = scheme === 'rediss'
  return { tls, mode: mode as Part['mode'], login: given, hosts, path }
}

/** Another part of the same cluster: what it says of the whole must be the same, or nothing. */
function goesWith(first: Part, part: Part): boolean {
  const sameLogin = part.login === null || Bun.deepEquals(part.login, first.login)
  return part.tls === first.tls && part.mode === first.mode && part.path === first.path && sameLogin
}

function addressOf({ tls, mode, login, path }: Part, hosts: Host[]): RedisAddress | null {
  if (mode === 'sentinel') {
    const master = unescaped(path)
    return master ? { kind: 'sentinel', tls, hosts, login: login ?? {}, master } : null
  }
  // One host without `+cluster` is a server by itself, and that was no URL.
  if (hosts.length === 1 && mode !== 'cluster') return null
  // A cluster has one database.
  if (path !== '' && path !== '0') return null
  return { kind: 'cluster', tls, hosts, login: login ?? {} }
}

function hostOf(name: string, defaultPort: number): Host | null {
  // Of a scheme that URL knows no port of, so that none is left out as the usual one.
  const text = `redis://${name}`
  if (!URL.canParse(text)) return null
  const { hostname, port, pathname } = new URL(text)
  if (hostname === '' || (pathname !== '' && pathname !== '/')) return null
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) }
}

/** `user:password`, `:password` or `password`-less `user`; null for none, undefined where it is unreadable. */
function loginOf(text: string | undefined): Login | null | undefined {
  if (text === undefined) return null
  const colon = text.indexOf(':')
  const [user, word] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
  const [username, password] = [unescaped(user), unescaped(word)]
  if (username === undefined || password === undefined) return undefined
  return { ...(username && { username }), ...(password && { password }) }
}

function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
