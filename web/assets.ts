/**
 * The page and what it is made of: our own files and uPlot's two, from its package. Read once at
 * start; nothing else of the disk can be asked for.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { etagOf } from './fresh.ts'

export interface Asset {
  path: string
  type: string
  body: Uint8Array<ArrayBuffer>
  etag: string
}

const types = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
} as const

const pageFolder = new URL('page', import.meta.url).pathname
const page = (name: string) => `${pageFolder}/${name}`
const uplot = (name: string) => Bun.resolveSync(`uplot/dist/${name}`, import.meta.dir)

export function loadAssets(): Asset[] {
  const own = readdirSync(pageFolder).map((name) => asset(`/${name}`, page(name), typeOf(name)))
  return [
    asset('/', page('index.html'), 'html'),
    asset('/jobs', page('jobs.html'), 'html'),
    ...own,
    asset('/uplot.js', uplot('uPlot.esm.js'), 'js'),
    asset('/uplot.css', uplot('uPlot.min.css'), 'css'),
  ]
}

/** @throws where a file of the page has an ending that is none of ours: a mistake of ours */
function typeOf(name: string): keyof typeof types {
  const ending = name.slice(name.lastIndexOf('.') + 1)
  if (Object.hasOwn(types, ending)) return ending as keyof typeof types
  throw new Error(`web/page/${name} is of no known type`)
}

function asset(path: string, file: string, type: keyof typeof types): Asset {
  const body = new Uint8Array(readFileSync(file))
  return { path, type: types[type], body, etag: etagOf(body) }
}
