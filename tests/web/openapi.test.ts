/**
 * The document by an independent linter, whose rules also hold each example against the schema that it
 * illustrates, and against the routes that there are.
 */
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { openWeb, type Web } from './setup.ts'

let web: Web
beforeEach(async () => {
  web = await openWeb('openapi')
})
afterEach(() => web.end())

interface Operation {
  operationId: string
  security?: unknown
  parameters?: { name: string; description?: string; schema: Record<string, unknown> }[]
  responses: Record<string, { content?: Record<string, { example?: unknown }> }>
}
interface Document {
  paths: Record<string, Record<string, Operation>>
}

const document = async () => (await (await web.ask('/openapi.json')).json()) as Document

async function problemsOf(source: Document): Promise<string[]> {
  const examples = { severity: 'error', allowAdditionalProperties: false } as const
  const config = await createConfig({
    extends: ['recommended-strict'],
    rules: {
      'no-invalid-media-type-examples': examples,
      'no-invalid-schema-examples': examples,
      'no-invalid-parameter-examples': examples,
      'no-unused-components': 'error',
      'no-schema-type-mismatch': 'error',
      'operation-tag-defined': 'error',
      'parameter-description': 'error',
      'tag-description': 'error',
    },
  })
  const problems = await lintFromString({ source: JSON.stringify(source), config })
  return problems.map(({ ruleId, message, location }) =>
    [ruleId, location[0]?.pointer, message].join(' '),
  )
}

test('has no problem, not even a small one', async () => {
  expect(await problemsOf(await document())).toEqual([])
})

test.each([
  ['a value', { state: 'sleeping' }],
  ['a field more', { color: 'red' }],
])('%s that the schema does not allow in an example is found', async (_, change) => {
  const source = await document()
  const media = source.paths['/api/status']!.get!.responses[200]!.content!['application/json']!
  Object.assign(media.example as object, change)
  expect(await problemsOf(source)).toHaveLength(1)
})

test('every answer in JSON has an example', async () => {
  for (const operation of operationsOf(await document())) {
    const answers = Object.values(operation.responses)
    const medias = answers.flatMap(({ content }) => content?.['application/json'] ?? [])
    for (const media of medias) expect(media).toHaveProperty('example')
  }
})

test('every route is in it, but for the page and the document', async () => {
  const { paths } = await document()
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const routes = web.app.routes
    .filter(
      ({ method, path }) => method !== 'ALL' && /^\/(api\/|healthz|readyz|metrics)/.test(path),
    )
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
  expect(documented.toSorted()).toEqual([...new Set(routes)].toSorted())
})

test('control needs the token, everything else nothing', async () => {
  for (const [path, methods] of Object.entries((await document()).paths)) {
    for (const [method, { security }] of Object.entries(methods)) {
      expect([path, security]).toEqual([path, method === 'post' ? [{ token: [] }] : undefined])
    }
  }
})

test('parameters come with their bounds', async () => {
  const { paths } = await document()
  const parameter = (path: string, wanted: string) =>
    paths[path]!.get!.parameters!.find(({ name }) => name === wanted)!.schema
  for (const [path, fallback] of [
    ['/api/windows', 100],
    ['/api/decisions', 50],
    ['/api/rejects', 100],
  ] as const) {
    const limit = { type: 'integer', minimum: 1, maximum: 1_000, default: fallback }
    expect(parameter(path, 'limit')).toEqual(limit)
  }
  expect(parameter('/api/rejects', 'reason')).toMatchObject({ maxLength: 100 })
  expect(parameter('/api/windows', 'state')).toMatchObject({ enum: ['open', 'closed'] })
})

const operationsOf = ({ paths }: Document): Operation[] =>
  Object.values(paths).flatMap((methods) => Object.values(methods))
