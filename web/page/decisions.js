/** Decisions as a list, newest first, and the sentence of why there are as many executors as there are. */
import * as format from '/format.js'
import { follow, part, put } from '/rows.js'

const DECISIONS_MOST = 30

export function createDecisions({ list, none }) {
  /** Id → decision and its element. */
  const held = new Map()
  const render = (now) => {
    const newest = [...held.values()].reverse()
    follow(
      list,
      newest.map(({ item }) => item),
    )
    for (const { item, decision } of newest) {
      put(item.querySelector('.ago'), format.ago(now - Date.parse(decision.at)))
    }
    none.hidden = held.size > 0
    list.hidden = held.size === 0
  }
  return {
    clear: () => held.clear(),
    /** A decision comes a second time when it has taken effect. */
    put(decision) {
      held.set(decision.id, { decision, item: decisionItem(decision) })
      if (held.size > DECISIONS_MOST) held.delete(held.keys().next().value)
    },
    render,
    /** Oldest first. */
    all: () => [...held.values()].map(({ decision }) => decision),
  }
}

function decisionItem({ at, from, to, reason, sentence, effectMs }) {
  const item = document.createElement('li')
  const kind = to > from ? 'up' : to < from ? 'down' : ''
  const change = part('span', to === from ? String(to) : `${from} → ${to}`, `change ${kind}`)
  const when = part('p', undefined, 'when')
  const time = part('time', format.clockTime(at))
  time.dateTime = at
  time.title = format.absolute(at)
  when.append(time, part('span', '', 'ago'), part('span', reason, 'code'))
  const why = part('p', sentence)
  if (effectMs !== null) why.append(part('small', ` In effect after ${format.duration(effectMs)}.`))
  const text = document.createElement('div')
  text.append(when, why)
  item.append(change, text)
  return item
}
