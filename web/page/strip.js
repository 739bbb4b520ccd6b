/**
 * The recent windows as bars, one each, over a slider: how much was in them, live or closed. The slider
 * is what keys and screen readers use; a press on a bar moves it.
 */
import * as format from '/format.js'
import { valueOf } from '/measures.js'

const HEIGHT = 56
/** Windows that there is room for: fewer on a phone. */
const SHOWN_MOST = 120
const BAR_PX_LEAST = 5
/** As many places at the least, so that a few windows are not a wall. */
const PLACES_LEAST = 40

export function createStrip(canvas, slider, choose) {
  let windows = []
  let shown = null
  let measure = { id: '[""]', name: '' }
  /** Places that are empty, left of the oldest window. */
  const empty = () => Math.max(0, PLACES_LEAST - windows.length)

  const draw = () => {
    const width = canvas.clientWidth
    const scale = devicePixelRatio
    canvas.width = Math.round(width * scale)
    canvas.height = Math.round(HEIGHT * scale)
    const context = canvas.getContext('2d')
    context.scale(scale, scale)
    const style = getComputedStyle(canvas)
    const colors = { open: style.accentColor, closed: style.borderTopColor, mark: style.color }
    const values = windows.map(({ values }) => valueOf(values, measure) ?? 0)
    const most = Math.max(1e-9, ...values)
    const step = width / Math.max(PLACES_LEAST, windows.length)
    const left = empty() * step
    const gap = step > 4 ? 1.5 : 0.5
    for (const [index, { start, state }] of windows.entries()) {
      const height = values[index] > 0 ? Math.max(2, (values[index] / most) * (HEIGHT - 8)) : 1
      const isShown = start === shown
      context.globalAlpha = isShown ? 1 : 0.62
      context.fillStyle = state === 'open' ? colors.open : colors.closed
      context.fillRect(left + index * step + gap / 2, HEIGHT - height, step - gap, height)
      if (!isShown) continue
      context.fillStyle = colors.mark
      context.fillRect(left + index * step + gap / 2, HEIGHT - 2, step - gap, 2)
      context.fillRect(left + index * step + gap / 2, 0, step - gap, 2)
    }
  }

  const chooseAt = (place) => {
    const index = place - empty()
    const window = windows[Math.min(windows.length - 1, Math.max(0, index))]
    if (window) choose(window.start)
  }
  slider.addEventListener('input', () => chooseAt(Number(slider.value)))
  const point = (event) => {
    if (event.buttons !== 1) return
    const { left, width } = canvas.getBoundingClientRect()
    const places = empty() + windows.length
    chooseAt(Math.floor(((event.clientX - left) / width) * places))
  }
  canvas.addEventListener('pointerdown', point)
  canvas.addEventListener('pointermove', point)
  new ResizeObserver(draw).observe(canvas)
  addEventListener('themechange', draw)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)

  return {
    /** `order`: oldest first; `start`: of the one that is shown; `chosen`: the measure of the bars. */
    show(order, start, chosen) {
      const room = Math.max(10, Math.floor(canvas.clientWidth / BAR_PX_LEAST))
      windows = order.slice(-Math.min(SHOWN_MOST, room))
      if (start !== null && !windows.some((window) => window.start === start)) {
        windows = order.slice(0, windows.length)
      }
      shown = start
      measure = chosen
      const index = windows.findIndex((window) => window.start === start)
      slider.max = String(Math.max(0, empty() + windows.length - 1))
      slider.value = String(empty() + Math.max(0, index))
      slider.disabled = windows.length < 2
      const window = windows[index]
      const text = window
        ? `${format.span(window.start, window.end)}, ${window.state}, ${chosen.name} ${format.measure(valueOf(window.values, chosen))}`
        : 'none'
      slider.setAttribute('aria-valuetext', text)
      draw()
    },
  }
}
