/** What stands beside the cursor of a chart: the time, its numbers, and the decisions of that moment. */
import * as format from '/format.js'
import { part, put } from '/rows.js'

const EDGE_PX = 12

export function createTip() {
  const tip = document.getElementById('tip')
  let owner = null
  return {
    /** `left`: of the cursor within the plot, px. */
    show(element, { at, ago, rows, decisions, left }) {
      owner = element
      const time = part('p', undefined, 'when')
      time.append(part('strong', format.clockTime(at)), part('span', format.ago(ago)))
      const list = part('dl')
      for (const { name, color, text } of rows) {
        const line = part('div')
        line.append(part('dt', name, `key ${color.slice(2)}`), part('dd', text))
        list.append(line)
      }
      tip.replaceChildren(time, list, ...decisions.map(decisionText))
      tip.hidden = false
      place(tip, element, left)
    },
    hide(element) {
      if (owner === element) tip.hidden = true
    },
  }
}

function decisionText({ at, from, to, sentence }) {
  const text = part('p', undefined, 'why')
  const change = part(
    'span',
    `${from} → ${to}`,
    `change ${to > from ? 'up' : to < from ? 'down' : ''}`,
  )
  text.append(change, part('span', ` ${format.clockTime(at)} `, 'muted'), part('span'))
  put(text.lastChild, sentence)
  return text
}

/** Right of the cursor where there is room, else left of it; below the chart's top. */
function place(tip, element, left) {
  const box = (element.querySelector('.u-over') ?? element).getBoundingClientRect()
  const x = box.left + left
  const fits = x + EDGE_PX + tip.offsetWidth < document.documentElement.clientWidth
  const beside = fits ? x + EDGE_PX : Math.max(4, x - EDGE_PX - tip.offsetWidth)
  tip.style.left = `${Math.round(beside + scrollX)}px`
  tip.style.top = `${Math.round(box.top + scrollY + 4)}px`
}
