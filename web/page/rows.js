/**
 * Tables and lists that follow data. What users wrote (group values, reasons, record values) enters the
 * page by textContent only. Rows are kept by key and changed in place, so that hundreds of rows cost
 * little each time, and text that is being selected stays.
 */

/** A table body that follows a list of { key, cells, className? }, a cell being text or { text, … }. */
export function createRows(body) {
  const held = new Map()
  return (rows) => {
    const order = rows.map(({ key, className = '', cells }) => {
      const row = held.get(key) ?? document.createElement('tr')
      held.set(key, row)
      if (row.className !== className) row.className = className
      cells.forEach((cell, index) => {
        const element = row.children[index] ?? row.appendChild(document.createElement('td'))
        fill(element, typeof cell === 'string' ? { text: cell } : cell)
      })
      while (row.children.length > cells.length) row.lastChild.remove()
      return row
    })
    follow(body, order)
    const keys = new Set(rows.map(({ key }) => key))
    for (const key of held.keys()) if (!keys.has(key)) held.delete(key)
  }
}

/** Makes `parent` hold these children, touching it only where it does not. */
export function follow(parent, order) {
  const isSame =
    parent.children.length === order.length &&
    order.every((child, index) => parent.children[index] === child)
  if (!isSame) parent.replaceChildren(...order)
}

/** Column heads; written again only when they are others. */
export function createHead(head) {
  return (columns) => {
    const wanted = JSON.stringify(columns)
    if (head.dataset.columns === wanted) return
    head.dataset.columns = wanted
    const line = document.createElement('tr')
    for (const { text, number = false } of columns) {
      const cell = part('th', text)
      cell.scope = 'col'
      if (number) cell.className = 'number'
      line.append(cell)
    }
    head.replaceChildren(line)
  }
}

export function part(name, text, className) {
  const element = document.createElement(name)
  if (text !== undefined) element.textContent = text
  if (className) element.className = className
  return element
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text
}

function fill(
  element,
  { text, number = false, className = '', pill, bar, title, button, time, href },
) {
  const name = number ? 'number' : className
  if (element.className !== name) element.className = name
  if (title !== undefined && element.title !== title) element.title = title
  if (pill !== undefined) return fillPill(element, text, pill)
  if (bar !== undefined) return fillBar(element, text, bar)
  if (button !== undefined) return fillButton(element, text, button)
  if (time !== undefined) return fillTime(element, text, time)
  if (href !== undefined) return fillLink(element, text, href)
  put(element, text)
}

function fillPill(element, text, kind) {
  const pill = element.firstElementChild ?? element.appendChild(document.createElement('span'))
  const name = `pill ${kind}`
  if (pill.className !== name) pill.className = name
  put(pill, text)
}

function fillBar(element, text, share) {
  if (element.children.length === 0) {
    const track = part('span', undefined, 'track')
    track.append(document.createElement('span'))
    element.append(track, document.createElement('span'))
  }
  const width = `${Math.round((share ?? 0) * 100)}%`
  const inner = element.children[0].firstElementChild
  if (inner.style.width !== width) inner.style.width = width
  put(element.children[1], text)
}

/** A button that is there from its row's beginning to its end; no text, no button. */
function fillButton(element, text, { label, press }) {
  if (text === '') return element.replaceChildren()
  let button = element.querySelector('button')
  if (!button) {
    button = part('button', text, 'small')
    button.type = 'button'
    element.append(button)
  }
  button.onclick = press
  put(button, text)
  if (button.getAttribute('aria-label') !== label) button.setAttribute('aria-label', label)
}

function fillTime(element, text, iso) {
  const time = element.firstElementChild ?? element.appendChild(document.createElement('time'))
  if (time.dateTime !== iso) time.dateTime = iso
  put(time, text)
}

/** A link, to pages only: an address of another kind, or none, leaves the text. */
function fillLink(element, text, href) {
  if (!/^https?:\/\//i.test(href ?? '')) return put(element, text)
  let link = element.querySelector('a')
  if (!link) {
    link = document.createElement('a')
    link.rel = 'noreferrer'
    element.replaceChildren(link)
  }
  if (link.getAttribute('href') !== href) link.setAttribute('href', href)
  put(link, text)
}
