/**
 * The page and what it is made of: our three files and uPlot's two, from its package. Read once at
 * start; nothing else of the disk can be asked for.
 */
import { readFileSync } from 'node:fs'

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

const page = (name: string) => new URL(`page/${name}`, import.meta.url).pathname
const uplot = (name: string) => Bun.resolveSync(`uplot/dist/${name}`, import.meta.dir)

export function loadAssets(): Asset[] {
  return [
    asset('/', page('index.html'), 'html'),
    asset('/app.js', page('app.js'), 'js'),
    asset('/charts.js', page('charts.js'), 'js'),
    asset('/format.js', page('format.js'), 'js'),
    asset('/tables.js', page('tables.js'), 'js'),
    asset('/style.css', page('style.css'), 'css'),
    asset('/parts.css', page('parts.css'), 'css'),
    asset('/icon.svg', page('icon.svg'), 'svg'),
    asset('/uplot.js', uplot('uPlot.esm.js'), 'js'),
    asset('/uplot.css', uplot('uPlot.min.css'), 'css'),
  ]
}

function asset(path: string, file: string, type: keyof typeof types): Asset {
  const body = new Uint8Array(readFileSync(file))
  return { path, type: types[type], body, etag: `"${Bun.hash(body).toString(16)}"` }
}
