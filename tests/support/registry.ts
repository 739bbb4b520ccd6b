/** What a schema registry answers to those who read: the versions of its subjects, and each one's schema. */

export interface TestSchema {
  id: number
  schema: string
}

export interface TestRegistry {
  url: string
  end(): Promise<void>
}

/** `subjects`: the schemas of each, in the order of their versions. */
export function startRegistry(subjects: Record<string, readonly TestSchema[]>): TestRegistry {
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch({ url }) {
      const [, at, subject = '', versions, version] = new URL(url).pathname.split('/')
      const schemas = subjects[decodeURIComponent(subject)]
      if (at !== 'subjects' || versions !== 'versions' || !schemas) return notFound()
      if (version === undefined) return Response.json(schemas.map((_, i) => i + 1))
      const found = schemas[Number(version) - 1]
      return found ? Response.json({ subject, version: Number(version), ...found }) : notFound()
    },
  })
  return { url: `http://127.0.0.1:${server.port}`, end: () => server.stop(true) }
}

const notFound = () => Response.json({ error_code: 40401, message: 'not found' }, { status: 404 })
