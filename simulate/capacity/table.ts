/** Tables as Markdown, aligned so that a terminal shows them too; and amounts for people. Pure. */

/** Figures to the right, all else to the left. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) =>
    Math.max(head.length, 3, ...rows.map((row) => row[i]!.length)),
  )
  const right = heads.map((_, i) => i > 0 && rows.every((row) => FIGURE.test(row[i]!)))
  const padded = (cell: string, i: number) =>
    right[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)
  const line = (cells: readonly string[]) => `| ${cells.map(padded).join(' | ')} |`
  const rule = widths.map((width, i) =>
    right[i] ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  )
  return [line(heads), line(rule), ...rows.map(line)].join('\n')
}

const FIGURE = /^[\d–*]/

/** 1.12 M, 380,000, 64, 0.31; at most three digits that mean something. */
export function amount(value: number): string {
  if (value === Infinity) return '–'
  if (value >= 1e9) return `${digits(value / 1e9)} G`
  if (value >= 1e6) return `${digits(value / 1e6)} M`
  if (value >= 100) return Number(value.toPrecision(3)).toLocaleString('en')
  return digits(value)
}

export const percent = (share: number): string =>
  `${share < 0.0995 ? Number((share * 100).toPrecision(1)) : Math.round(share * 100).toLocaleString('en')} %`

export const money = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(value >= 1 ? 1 : 2)

const digits = (value: number): string => String(Number(value.toPrecision(3)))
