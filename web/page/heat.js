/**
 * A window as a heat map: the first group field down, the others across, the chosen value as shade and as
 * number. A table, so that it is read as one; shades are in steps, so that few cells change each time.
 */
import * as format from '/format.js'
import { valueOf } from '/measures.js'
import { part, put } from '/rows.js'

const ROWS_MOST = 40
const COLUMNS_MOST = 24
const SHADES = 10

export function createHeat(table, caption, groups) {
  let drawn = ''
  /** `row␟column` → its cell. */
  let cells = new Map()
  /** The scale stays while the values stay within it, so that colours do not jump. */
  let scale = { measure: '', most: 0 }

  const build = (rows, columns) => {
    const shape = JSON.stringify([rows, columns])
    if (shape === drawn) return
    drawn = shape
    cells = new Map()
    const head = part('tr')
    head.append(part('th', groups.length > 0 ? groups[0] : ''))
    head.firstChild.scope = 'col'
    for (const column of columns) {
      const cell = part('th', column)
      cell.scope = 'col'
      head.append(cell)
    }
    table.tHead.replaceChildren(head)
    table.tBodies[0].replaceChildren(
      ...rows.map((row) => {
        const line = part('tr')
        const name = part('th', row)
        name.scope = 'row'
        line.append(name)
        for (const column of columns) {
          const cell = part('td')
          cells.set(`${row}\u241f${column}`, cell)
          line.append(cell)
        }
        return line
      }),
    )
  }

  return {
    /** `rows` of one window, which `text` tells. */
    show(rows, measure, text) {
      put(caption, `${measure.name} by ${groups.join(' and ')}, ${text}`)
      const known = rows.filter(({ values }) => valueOf(values, measure) !== null)
      const placed = known.map((row) => ({
        ...placeOf(row, groups, measure),
        value: valueOf(row.values, measure),
      }))
      build(names(placed, 'row', ROWS_MOST), names(placed, 'column', COLUMNS_MOST))
      const most = Math.max(0, ...placed.map(({ value }) => Math.abs(value)))
      scale = { measure: measure.id, most: nextScale(scale, measure.id, most) }
      const values = new Map(
        placed.map(({ row, column, value }) => [`${row}\u241f${column}`, value]),
      )
      for (const [key, cell] of cells) shade(cell, values.get(key), scale.most)
    },
  }
}

function placeOf({ key }, groups, measure) {
  const [first, ...others] = groups
  const row = first === undefined ? 'all' : format.groupValue(key[first])
  const column = others.map((name) => format.groupValue(key[name])).join(' · ')
  return { row, column: others.length === 0 ? measure.name : column }
}

/** Names of rows or columns in their order; the greatest where there are too many. */
function names(placed, side, most) {
  const sums = new Map()
  for (const cell of placed)
    sums.set(cell[side], (sums.get(cell[side]) ?? 0) + Math.abs(cell.value))
  const kept = [...sums].sort(([, a], [, b]) => b - a).slice(0, most)
  return kept.map(([name]) => name).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
}

/** Grows at once, shrinks when the values have come down to less than half. */
function nextScale(scale, measure, most) {
  if (scale.measure !== measure || most > scale.most || most < scale.most / 2) return most
  return scale.most
}

function shade(cell, value, most) {
  if (value === undefined) {
    if (cell.className !== 'none') cell.className = 'none'
    put(cell, '')
    return
  }
  const step = most === 0 ? 0 : Math.ceil((Math.abs(value) / most) * SHADES)
  const name = `shade s${Math.min(SHADES, step)}`
  if (cell.className !== name) cell.className = name
  put(cell, format.compactMeasure(value))
}
