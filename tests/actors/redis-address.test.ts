import { describe, expect, test } from 'bun:test'
import { addressText, parseRedisUrl } from '../../actors/redis-address.ts'

const hosts = (...names: string[]) =>
  names.map((name) => {
    const [host = '', port] = name.split(':')
    return { host, port: Number(port) }
  })

describe('REDIS_URL', () => {
  test('of one server stays as it is, query and all', () => {
    const url = 'rediss://user:p%40ss,word@host.example/2?family=6'
    expect(parseRedisUrl(url)).toMatchObject({
      kind: 'server',
      tls: true,
      url,
      at: 'host.example:6379',
    })
    expect(parseRedisUrl('redis://[::1]:7000')).toMatchObject({ kind: 'server' })
  })

  test.each([
    ['unix:///run/redis.sock', '/run/redis.sock'],
    ['unix:///run/redis/a.sock?username=u&password=p%40', '/run/redis/a.sock'],
  ])('%s is one server, by its socket', (url, at) => {
    const path = url.slice('unix://'.length)
    expect(parseRedisUrl(url)).toEqual({ kind: 'server', tls: false, url: path, at })
    expect(addressText(parseRedisUrl(url)!)).toBe(at)
  })

  const login = { username: 'u', password: 'p:@' }
  test.each([
    ['redis://a:7000,b:7001,c', false, hosts('a:7000', 'b:7001', 'c:6379'), {}],
    ['redis://a:7000,redis://b:7001', false, hosts('a:7000', 'b:7001'), {}],
    ['redis://a:7000, redis://b:7001', false, hosts('a:7000', 'b:7001'), {}],
    ['rediss://u:p%3A%40@a:1,b:2/0', true, hosts('a:1', 'b:2'), login],
    ['rediss://u:p%3A%40@a:1,rediss://u:p%3A%40@b:2', true, hosts('a:1', 'b:2'), login],
    ['rediss://u:p%3A%40@a:1,rediss://b:2', true, hosts('a:1', 'b:2'), login],
    ['redis+cluster://:p@a:1', false, hosts('a:1'), { password: 'p' }],
    ['redis+cluster://[::1]:1', false, [{ host: '::1', port: 1 }], {}],
  ])('%s is a cluster', (url, tls, hosts, login) => {
    expect(parseRedisUrl(url)).toEqual({ kind: 'cluster', tls, hosts, login })
  })

  test.each([
    ['redis+sentinel://a,b:5000/main', false, hosts('a:26379', 'b:5000'), {}, 'main'],
    ['rediss+sentinel://u:p%3A%40@a/the%20one', true, hosts('a:26379'), login, 'the one'],
  ])('%s is a master behind Sentinels', (url, tls, hosts, login, master) => {
    expect(parseRedisUrl(url)).toEqual({ kind: 'sentinel', tls, hosts, login, master })
  })

  test.each([
    'redis://a:1,',
    'redis://a:1,b:99999',
    'redis://a:1,http://b:2',
    'redis://a:1,rediss://b:2',
    'redis://u:canary@a:1,redis://u:other@b:2',
    'redis://%zz:canary@a:1,b:2',
    'redis://a:1,b:2/1',
    'redis+cluster://',
    'redis+cluster://a:1/3',
    'redis+sentinel://a:1',
    'redis+sentinel://a:1/',
    'redis+other://a:1',
    'redis://a b,c',
    'unix://',
    'unix:///',
    'unix://host/run/redis.sock',
    'unix:///a,unix:///b c',
  ])('%s is nothing', (url) => {
    expect(parseRedisUrl(url)).toBeNull()
  })

  test('is told without its login', () => {
    const told = (url: string) => addressText(parseRedisUrl(url)!)
    expect(told('redis://u:canary@a:7000,b:7001')).toBe('a:7000,b:7001')
    expect(told('redis+sentinel://u:canary@a/main')).toBe('main (Sentinel a:26379)')
  })
})
