import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '../../../actors/errors.ts'
import { ClusterError, openCluster, readAccount } from '../../../supervisor/kubernetes/api.ts'
import { labels, podFrom } from '../../../supervisor/kubernetes/pod.ts'
import { type FakeCluster, fakeCluster } from '../../support/cluster.ts'
import { rejection } from '../../support/rejection.ts'

const name = 'rooms-executor'
const folder = mkdtempSync(join(tmpdir(), 'millrace-account-'))
let cluster: FakeCluster

beforeAll(() => {
  cluster = fakeCluster({ template: { name, args: ['executor'] } })
  writeFileSync(join(folder, 'namespace'), 'streams\n')
  writeFileSync(join(folder, 'token'), 'first\n')
  writeFileSync(join(folder, 'ca.crt'), 'certificate')
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await cluster.stop()
})

const open = (account = cluster.account, template = name) =>
  openCluster(account, template, labels.template)

describe('the service account', () => {
  const environment = { MILLRACE_SERVICE_ACCOUNT: folder, KUBERNETES_SERVICE_HOST: '10.0.0.1' }

  test('is read from its folder, the token again at each call', () => {
    const account = readAccount({ ...environment, KUBERNETES_SERVICE_PORT: '6443' })
    expect(account).toMatchObject({ url: 'https://10.0.0.1:6443', namespace: 'streams' })
    expect(account.token()).toBe('first')
    writeFileSync(join(folder, 'token'), 'second')
    expect(account.token()).toBe('second')
  })

  test('of IPv6 has brackets', () => {
    const account = readAccount({ ...environment, KUBERNETES_SERVICE_HOST: 'fd00::1' })
    expect(account.url).toBe('https://[fd00::1]:443')
  })

  test('that is not there is a mistake, told in one line', () => {
    const within = '--fleet kubernetes works in a pod with a service account only: '
    expect(() => readAccount({})).toThrow(UsageError)
    expect(() => readAccount({})).toThrow(`${within}KUBERNETES_SERVICE_HOST is not set`)
    const elsewhere = { ...environment, MILLRACE_SERVICE_ACCOUNT: join(folder, 'absent') }
    expect(() => readAccount(elsewhere)).toThrow(within)
  })
})

describe('the API', () => {
  test('makes a pod once, lists it by its template, and removes it', async () => {
    const api = open()
    const manifest = podFrom(await api.template(), 'executor-1', false)
    expect(await api.create(manifest)).toBe(true)
    expect(await api.create(manifest)).toBe(false)
    expect((await api.list()).map(({ metadata }) => metadata.name)).toEqual(['executor-1'])
    await api.remove('executor-1')
    expect(await api.list()).toEqual([])
    await api.remove('executor-1', 0)
  })

  test('that refuses is told in its own words, and whether asking again may help', async () => {
    const stranger = open({ ...cluster.account, token: () => 'wrong' })
    const forbidden = (await rejection(stranger.list())) as ClusterError
    expect(forbidden.message).toBe('Kubernetes refuses: Unauthorized')
    expect(forbidden).toMatchObject({ status: 401, again: false })
    const absent = (await rejection(open(cluster.account, 'absent').template())) as ClusterError
    expect(absent.message).toBe('Kubernetes refuses: podtemplates "absent" not found')
    cluster.away = true
    const away = (await rejection(open().list())) as ClusterError
    cluster.away = false
    expect(away).toMatchObject({ status: 503, again: true })
  })

  test('that is not there is told with its address', async () => {
    const gone = { ...cluster.account, url: 'http://127.0.0.1:1' }
    const error = (await rejection(open(gone).list())) as ClusterError
    expect(error.message).toStartWith('Kubernetes does not answer at http://127.0.0.1:1: ')
    expect(error).toMatchObject({ status: null, again: true })
    expect(error).toBeInstanceOf(ClusterError)
  })
})
