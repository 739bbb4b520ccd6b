/**
 * A sink that writes each closed window as one file, of newline JSON or of Parquet, named by the window:
 *
 *   <directory>/2026-11-26/05-36-20.000Z_10000ms.ndjson
 *
 * The file appears whole (written beside, synced, renamed), and once: a window that is written again, by
 * whoever, is the same file. So there is nothing to keep but the files.
 *
 * Where windows are told more than once, the number of the telling is in the name (`…_10000ms_r2.ndjson`),
 * and those of the others go when it is there. One that comes back, because a process was stopped before
 * it wrote it, has a number that is lower: the highest counts.
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { JobError } from '../job.ts'
import { checkColumns } from './columns.ts'
import { assertParquet, parquetOf } from './parquet.ts'
import { iso, rowJson, type Telling } from './rows.ts'
import { type ClosedWindow, declared, type Sink, type SinkOptions } from './sink.ts'

export interface FilesOptions extends SinkOptions {
  /** Of this job and this sink alone; made where it does not exist. */
  directory: string
  /**
   * One JSON object a row (`ndjson`, the default), or Parquet with typed columns, for which the package
   * hyparquet-writer must be installed.
   */
  format?: FileFormat
}

export type FileFormat = 'ndjson' | 'parquet'

const fileFormats: readonly FileFormat[] = ['ndjson', 'parquet']

export function files(options: FilesOptions): Sink {
  const base = declared('files', options)
  if (typeof options.directory !== 'string' || options.directory === '') {
    throw new JobError(`sink ${base.name}: directory must be a path, such as './windows'`)
  }
  const directory = resolve(options.directory)
  const format = formatOf(base.name, options.format ?? 'ndjson')
  return {
    ...base,
    address(job) {
      if (format === 'parquet') {
        checkColumns(base.name, job)
        assertParquet(base.name)
      }
      return directory
    },
    async open({ job, clock }) {
      await mkdir(directory, { recursive: true })
      await sweep(directory)
      const bytesOf = format === 'parquet' ? await parquetOf(job, clock) : ndjsonOf
      const mark = `${process.pid}-${Math.floor(clock.random() * 36 ** 6).toString(36)}`
      return {
        async write({ windows }, signal) {
          for (const window of windows) {
            signal.throwIfAborted()
            const { folder, name, prefix } = filePath(window, format)
            const path = join(directory, folder)
            const bytes = await bytesOf(window, signal)
            await writeFile(path, name, { bytes, mark })
            if (window.revision) await removeOthers(path, `${prefix}_r`, name)
          }
        },
        close: () => Promise.resolve(),
      }
    },
  }
}

function formatOf(sink: string, format: FileFormat): FileFormat {
  if (fileFormats.includes(format)) return format
  throw new JobError(
    `sink ${sink}: format must be ${fileFormats.join(' or ')}, not ${JSON.stringify(format)}`,
  )
}

/** Where a window's file is, in the directory. */
export function filePath({ start, end, revision }: Telling, format: FileFormat = 'ndjson') {
  const [day, time] = iso(start).split('T') as [string, string]
  const prefix = `${time.replaceAll(':', '-')}_${end - start}ms`
  const telling = revision ? `_r${revision.revision}` : ''
  return { folder: day, prefix, name: `${prefix}${telling}.${format}` }
}

const ndjsonOf = (window: ClosedWindow): string =>
  window.rows.map((row) => `${rowJson(window, row)}\n`).join('')

async function writeFile(
  path: string,
  name: string,
  { bytes, mark }: { bytes: string | Uint8Array; mark: string },
): Promise<void> {
  await mkdir(path, { recursive: true })
  const beside = join(path, `.${name}.${mark}.tmp`)
  const file = await open(beside, 'w')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(beside, join(path, name))
  await syncDirectory(path)
}

/** The window as it was told before. */
async function removeOthers(path: string, prefix: string, name: string): Promise<void> {
  for (const other of await readdir(path)) {
    if (other.startsWith(prefix) && other !== name) await rm(join(path, other), { force: true })
  }
}

/** The name itself is on the disk only when the directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** What a process that was killed has left half written. */
async function sweep(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true })) {
    if (/(^|[/\\])\.[^/\\]+\.(ndjson|parquet)\.[^/\\]+\.tmp$/.test(entry)) {
      await rm(join(directory, entry), { force: true })
    }
  }
}
