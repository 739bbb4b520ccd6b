/** What the reference tells of, in which order: each exported declaration of these files but some. */

export interface Section {
  title: string
  about: string
  files: readonly Source[]
}

/** With `only` these exports; otherwise all but `internal`, which are for the pipeline itself. */
export type Source = { path: string } & (
  | { only: readonly string[] }
  | { internal: readonly string[] }
)

export const contents: readonly Section[] = [
  {
    title: 'The job',
    about: "From `'millrace'`.",
    files: [
      {
        path: 'actors/job.ts',
        internal: ['Job'],
      },
      { path: 'actors/job-error.ts', only: ['JobError'] },
      { path: 'actors/duration.ts', only: ['Duration'] },
    ],
  },
  {
    title: 'Aggregates',
    about:
      "From `'millrace'`, or as the argument of a job's `aggregates` function, where their functions know the record's type.",
    files: [
      {
        path: 'actors/windows/kinds.ts',
        internal: ['Aggregate', 'AggregatesOf', 'aggregatesOf', 'NumberOf', 'TextOf', 'Parts'],
      },
    ],
  },
  {
    title: 'Sinks',
    about:
      "Each from its own module, such as `'millrace/sinks/postgres'`. [sinks.md](sinks.md) says what each promises.",
    files: [
      { path: 'actors/sinks/sink.ts', only: ['SinkOptions'] },
      { path: 'actors/sinks/console.ts', internal: [] },
      { path: 'actors/sinks/files.ts', internal: ['filePath'] },
      { path: 'actors/sinks/kafka.ts', internal: [] },
      { path: 'actors/sinks/postgres.ts', internal: [] },
      { path: 'actors/sinks/redis.ts', internal: [] },
      { path: 'actors/sinks/webhook.ts', internal: [] },
    ],
  },
  {
    title: 'Testing',
    about: "From `'millrace/testing'`, and `testPipeline` from `'millrace/testing/pipeline'`.",
    files: [
      { path: 'testing/test-job.ts', internal: [] },
      { path: 'testing/test-pipeline.ts', internal: [] },
      { path: 'testing/account.ts', internal: ['bytesOf', 'timeOf'] },
      { path: 'actors/windows/read.ts', only: ['GroupRow', 'WindowRow'] },
    ],
  },
]

/** Whether the reference tells of an export. */
export function isTold(source: Source, name: string): boolean {
  return 'only' in source ? source.only.includes(name) : !source.internal.includes(name)
}

/** Names that a source lists: each must be one of the file's exports. */
export const namesOf = (source: Source): readonly string[] =>
  'only' in source ? source.only : source.internal
