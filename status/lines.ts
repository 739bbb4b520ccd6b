/**
 * Lines for a terminal: pieces of text with a colour each, cut to a width that is counted in cells
 * rather than characters. Whatever a piece holds is escaped here, so that no line of anybody's can
 * write to the terminal what it likes. Pure.
 */
import { escaped } from '../actors/escape.ts'

const colours = { red: 31, green: 32, yellow: 33, cyan: 36, bold: 1, dim: 2 } as const
export type Colour = keyof typeof colours

export type Piece = string | { text: string; colour: Colour }
export type Line = readonly Piece[]

export interface Paper {
  /** Cells of a line; Infinity where lines may be as long as they are. */
  columns: number
  colour: boolean
}

/** One line as it is written, without its end. */
export function lineText(line: Line, { columns, colour }: Paper): string {
  let left = columns
  let text = ''
  for (const piece of line) {
    const [plain, code] =
      typeof piece === 'string' ? [piece, null] : [piece.text, colours[piece.colour]]
    const shown = fit(escaped(plain), left)
    left -= Bun.stringWidth(shown)
    text += code === null || !colour || shown === '' ? shown : `\x1b[${code}m${shown}\x1b[0m`
    if (left <= 0) break
  }
  return text
}

/** At most so many cells, the last of them an ellipsis; never half a character. */
export function fit(text: string, cells: number): string {
  if (cells <= 0) return ''
  if (text.length <= cells && /^[\x20-\x7e]*$/.test(text)) return text
  if (Bun.stringWidth(text) <= cells) return text
  let kept = ''
  let width = 0
  for (const { segment } of segmenter.segment(text)) {
    width += Bun.stringWidth(segment)
    if (width > cells - 1) break
    kept += segment
  }
  return `${kept}…`
}

/** Columns that are as wide as their widest cell; those of `numbers` to the right. */
export function columnsOf(
  rows: readonly (readonly string[])[],
  numbers: readonly number[],
): string[] {
  const safe = rows.map((row) => row.map(escaped))
  const widths = (safe[0] ?? []).map((_, i) =>
    Math.max(...safe.map((row) => Bun.stringWidth(row[i] ?? ''))),
  )
  return safe.map((row) =>
    row
      .map((cell, i) => {
        const space = ' '.repeat(widths[i]! - Bun.stringWidth(cell))
        return numbers.includes(i) ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd(),
  )
}

/** Whether a stream is written in colour: a terminal, unless NO_COLOR is set to something. */
export const inColour = (
  out: { isTTY?: boolean },
  environment: Record<string, string | undefined> = process.env,
): boolean => out.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb'

const segmenter = new Intl.Segmenter()
