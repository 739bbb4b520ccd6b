/**
 * Containers, against a stand-in for the `docker` program that notes its arguments: an engine is
 * used only when it answers, for what is missing, and what it says when it fails is handed on.
 */
import { afterAll, afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { composeAnswers, composePorts, composeStop, composeUp } from '../../services/compose.ts'
import { silent } from '../../cli/progress.ts'
import { rejection } from '../support/rejection.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-compose-'))
const calls = join(dir, 'calls')
const path = process.env.PATH ?? ''

beforeEach(() => {
  process.env.PATH = `${dir}:${path}`
  rmSync(calls, { force: true })
})
afterEach(() => {
  process.env.PATH = path
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function dockerIs(body: string): void {
  const script = `#!/bin/sh\necho "$@" >> '${calls}'\n${body}\n`
  writeFileSync(join(dir, 'docker'), script, { mode: 0o755 })
}

test('a client without an engine does not count', async () => {
  dockerIs('[ "$1" = info ] && { echo "Cannot connect to the Docker daemon" >&2; exit 1; }; exit 0')
  expect(await composeAnswers()).toBe(false)
})

test('an engine without compose does not count', async () => {
  dockerIs('[ "$1" = compose ] && exit 1; exit 0')
  expect(await composeAnswers()).toBe(false)
})

test('what is missing is started, waited for, and stopped', async () => {
  dockerIs('[ -n "$MILLRACE_TOKEN" ] || [ "$1" = info ] || [ "$2" = version ]')
  expect(await composeAnswers()).toBe(true)
  await composeUp(['redis'], silent)
  await composeStop(['redis'], silent)
  const lines = readFileSync(calls, 'utf8').trim().split('\n')
  expect(lines.slice(0, 2)).toEqual(['info', 'compose version'])
  expect(lines[2]).toMatch(/^compose --file \S+\/compose\.yaml .*up --detach --wait redis$/)
  expect(lines[3]).toMatch(/ stop redis$/)
})

test("a failure has the engine's own line", async () => {
  dockerIs('echo "Error response from daemon: no such image" >&2; exit 1')
  expect((await rejection(composeUp(['kafka'], silent))).message).toContain(
    'docker compose up: Error response from daemon: no such image',
  )
})

const fileSchema = v.object({
  services: v.record(
    v.string(),
    v.object({
      image: v.optional(v.string()),
      ports: v.array(v.string()),
      healthcheck: v.object({ test: v.array(v.string()) }),
    }),
  ),
})

test('compose.yaml publishes the usual ports, to this machine only', async () => {
  const file = Bun.file(join(import.meta.dir, '..', '..', 'compose.yaml'))
  const { services } = v.parse(fileSchema, Bun.YAML.parse(await file.text()))
  expect(Object.keys(services)).toEqual(['kafka', 'redis', 'millrace'])
  for (const name of ['kafka', 'redis'] as const) {
    const port = composePorts[name]
    expect(services[name]?.ports).toEqual([`127.0.0.1:${port}:${port}`])
    expect(services[name]?.image).toMatch(/:\d+\.\d+/)
  }
  expect(services.millrace?.ports).toEqual(['127.0.0.1:8080:8080'])
})
