/**
 * Verdicts on a Redis, from facts alone.
 */
import { describe, expect, test } from 'bun:test'
import { forbids, type Level } from '../../doctor/finding.ts'
import { type Info, judgeCall, judgeInfo, judgeRedis, type RedisFacts } from '../../doctor/redis.ts'

const MIB = 1024 * 1024
const address = 'redis.example:6379'
const good: Info = {
  redis_version: '7.0.15',
  redis_mode: 'standalone',
  role: 'master',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
  maxmemory: '0',
  used_memory: String(2 * MIB),
  total_system_memory: String(4096 * MIB),
  connected_clients: '3',
}
const facts: RedisFacts = {
  kind: 'server',
  address,
  info: good,
  others: [],
  settings: {
    appendfsync: 'everysec',
    'auto-aof-rewrite-min-size': String(512 * MIB),
    timeout: '0',
    maxclients: '10000',
    'client-output-buffer-limit': 'normal 0 0 0 slave 268435456 67108864 60 pubsub 1 1 60',
  },
  pingMs: 0.2,
  skewMs: 3,
  reading: null,
  writing: null,
  waitingBytes: 0,
  shards: [],
  away: [],
  executorsMax: 4,
}

test('a Redis as it should be has nothing but ok', () => {
  const levels = new Set(judgeRedis(facts).map(({ level }) => level))
  expect([...levels]).toEqual(['ok'])
})

describe('INFO', () => {
  const cases: [string, Info, string, Level, RegExp][] = [
    ['Redis 6', { redis_version: '6.2.14' }, 'Redis version', 'fatal', /is Redis 6\.2\.14/],
    [
      'Valkey 7.0, whatever Redis it says to be',
      { redis_version: '7.2.4', valkey_version: '7.0.1' },
      'Redis version',
      'fatal',
      /is Valkey 7\.0\.1/,
    ],
    ['Valkey 7.2', { redis_version: '7.2.4', valkey_version: '7.2.5' }, 'Redis version', 'ok', /./],
    [
      'Valkey 8',
      { redis_version: '7.2.4', valkey_version: '8.1.0' },
      'Redis version',
      'ok',
      /8\.1/,
    ],
    ['an evicting one', { maxmemory_policy: 'allkeys-lru' }, 'maxmemory-policy', 'fatal', /lru/],
    ['one without an AOF', { aof_enabled: '0' }, 'append-only file', 'warning', /no append-only/],
    [
      'a replica',
      { role: 'slave', master_host: 'm', master_port: '1' },
      'Redis role',
      'fatal',
      /m:1/,
    ],
    ['a Sentinel', { redis_mode: 'sentinel' }, 'Redis role', 'fatal', /Sentinel/],
    ['a cluster node', { cluster_enabled: '1' }, 'Redis role', 'fatal', /cluster/],
    ['a full disk', { aof_last_write_status: 'err' }, 'Redis disk', 'warning', /refuse writes/],
  ]
  for (const [title, change, what, level, found] of cases) {
    test(title, () => {
      const finding = judgeInfo({ ...good, ...change }, address).find((one) => one.what === what)
      expect(finding?.level).toBe(level)
      expect(finding?.found).toMatch(found)
      if (level !== 'ok') expect(finding?.todo).toBeTruthy()
      if (level === 'fatal') expect(forbids(finding!)).toBe(true)
    })
  }

  test('one that is loading is waited for', () => {
    const finding = judgeInfo({ ...good, loading: '1' }, address).find(
      ({ level }) => level === 'fatal',
    )
    expect(finding?.what).toBe('Redis role')
    expect(forbids(finding!)).toBe(false)
  })

  test('without INFO nothing is taken for granted', () => {
    const levels = judgeInfo({}, address).map(({ what, level }) => [what, level])
    expect(levels).toContainEqual(['Redis version', 'fatal'])
    expect(levels).toContainEqual(['maxmemory-policy', 'warning'])
  })
})

describe('a cluster', () => {
  const info = { ...good, cluster_enabled: '1', connected_slaves: '1' }
  const other = { address: 'other.example:6379', info }
  const cluster: RedisFacts = { ...facts, kind: 'cluster', info, others: [other] }
  const wrong = (change: Partial<RedisFacts>) =>
    judgeRedis({ ...cluster, ...change }).filter(({ level }) => level !== 'ok')

  test('as it should be has nothing but ok, and says what is the same of all once', () => {
    expect(wrong({})).toEqual([])
    const policies = judgeRedis(cluster).filter(({ what }) => what === 'maxmemory-policy')
    expect(policies).toHaveLength(1)
  })

  test('is looked at master by master', () => {
    const evicting = { ...other, info: { ...info, maxmemory_policy: 'allkeys-lru' } }
    const [finding] = wrong({ others: [evicting] })
    expect(finding).toMatchObject({ level: 'fatal', what: 'maxmemory-policy' })
    expect(finding!.found).toContain('other.example')
  })

  test('needs replicas, and a fence for masters that are cut off', () => {
    const alone = { ...info, connected_slaves: '0' }
    expect(wrong({ info: alone }).map(({ level }) => level)).toEqual(['warning'])
    expect(wrong({ others: [{ ...other, info: alone }] })[0]).toMatchObject({ level: 'hint' })
    const settings = { ...facts.settings, 'min-replicas-to-write': '0' }
    expect(wrong({ settings })).toEqual([])
    const [fence] = wrong({ settings, info: { ...info, connected_slaves: '2' } })
    expect(fence).toMatchObject({ level: 'hint', what: 'Redis replication' })
    expect(judgeRedis({ ...facts, settings }).filter(({ level }) => level !== 'ok')).toEqual([])
  })
})

describe('calls', () => {
  const cases: [string, boolean, RegExp][] = [
    ['NOPERM this user has no permissions to run FCALL', true, /ACL SETUSER/],
    ['NOAUTH Authentication required.', true, /REDIS_URL/],
    ['MOVED 1234 10.0.0.1:6379', true, /redis\+cluster/],
    ['ERR Function not found', false, /supervisor/],
    ["ERR unknown command 'FUNCTION'", true, /7\.0/],
    ["READONLY You can't write against a read only replica.", true, /master/],
    ["OOM command not allowed when used memory > 'maxmemory'.", false, /maxmemory/],
    ['MISCONF Redis is configured to save RDB snapshots', false, /log/],
    ['BUSY Redis is busy running a script.', false, /log/],
  ]
  for (const [error, refuses, todo] of cases) {
    test(error, () => {
      const finding = judgeCall(address, error)
      expect(finding.level).toBe('fatal')
      expect(forbids(finding)).toBe(refuses)
      expect(finding.todo).toMatch(todo)
    })
  }

  test('a cause that is named already is not named twice', () => {
    const info = { ...good, role: 'slave' }
    const findings = judgeRedis({ ...facts, info, writing: 'READONLY no' })
    expect(findings.filter(({ level }) => level === 'fatal')).toHaveLength(1)
  })
})

describe('room, link and clock', () => {
  const levelOf = (change: Partial<RedisFacts>, what: string) =>
    judgeRedis({ ...facts, ...change }).find((one) => one.what === what)?.level
  const memory = (fields: Info) => levelOf({ info: { ...good, ...fields } }, 'Redis memory')

  test('maxmemory must hold a full stream and what lies around it', () => {
    expect(memory({ maxmemory: String(64 * MIB) })).toBe('warning')
    expect(memory({ maxmemory: String(512 * MIB) })).toBe('ok')
    expect(memory({ maxmemory: String(512 * MIB), used_memory: String(500 * MIB) })).toBe('warning')
  })

  test('what waits in the stream already needs no more room', () => {
    const info = { ...good, maxmemory: String(128 * MIB), used_memory: String(60 * MIB) }
    expect(levelOf({ info }, 'Redis memory')).toBe('warning')
    expect(levelOf({ info, waitingBytes: 48 * MIB }, 'Redis memory')).toBe('ok')
  })

  test('without maxmemory the machine counts', () => {
    expect(memory({ used_memory: String(4000 * MIB) })).toBe('hint')
    expect(memory({ used_memory: String(4090 * MIB) })).toBe('warning')
    expect(memory({ total_system_memory: '' })).toBe('ok')
  })

  test('a slow link is named', () => {
    expect(levelOf({ pingMs: 2 }, 'Redis latency')).toBe('ok')
    expect(levelOf({ pingMs: 8 }, 'Redis latency')).toBe('hint')
    expect(levelOf({ pingMs: 40 }, 'Redis latency')).toBe('warning')
  })

  test('clocks apart', () => {
    expect(levelOf({ skewMs: -900 }, 'clocks')).toBe('ok')
    expect(levelOf({ skewMs: 4_000 }, 'clocks')).toBe('hint')
    expect(levelOf({ skewMs: -600_000 }, 'clocks')).toBe('warning')
    const finding = judgeRedis({ ...facts, skewMs: -600_000 }).find(({ what }) => what === 'clocks')
    expect(finding?.found).toContain('600.0 s behind ours')
  })
})

describe('settings', () => {
  const wrong = (change: Record<string, string>, more: Partial<RedisFacts> = {}) =>
    judgeRedis({ ...facts, ...more, settings: { ...facts.settings, ...change } })
      .filter(({ level }) => level !== 'ok')
      .map(({ what, level }) => `${level} ${what}`)

  test('each that is in our way', () => {
    expect(wrong({})).toEqual([])
    expect(wrong({ appendfsync: 'no' })).toEqual(['warning appendfsync'])
    expect(wrong({ appendfsync: 'always' })).toEqual(['hint appendfsync'])
    const often = { 'auto-aof-rewrite-min-size': String(64 * MIB) }
    expect(wrong(often)).toEqual(['hint append-only file'])
    expect(wrong({ timeout: '300' })).toEqual(['hint Redis timeout'])
    const small = { 'client-output-buffer-limit': 'normal 1048576 0 0 slave 0 0 0' }
    expect(wrong(small)).toEqual(['warning client-output-buffer-limit'])
    expect(wrong({ maxclients: '12' })).toEqual(['warning maxclients'])
  })

  test('what may not be read is said', () => {
    const findings = judgeRedis({ ...facts, settings: null })
    expect(findings.at(-1)).toMatchObject({ level: 'hint', what: 'Redis settings' })
  })
})
