/**
 * Windows and panes: half-open spans of event time, aligned to the epoch. A window of size L that
 * slides by S is the union of L ÷ S panes of width S; a record belongs to one pane and, through it,
 * to L ÷ S windows. All times are epoch milliseconds. Pure.
 */
export interface WindowShape {
  windowSizeMs: number
  windowSlideMs: number
}

/** Start of the pane [start, start + slide) that holds an event time. */
export function paneStart(shape: WindowShape, eventTime: number): number {
  return Math.floor(eventTime / shape.windowSlideMs) * shape.windowSlideMs
}

/** End of the first window that a pane belongs to; from there on the pane's records miss windows. */
export const firstWindowEnd = (shape: WindowShape, pane: number): number =>
  pane + shape.windowSlideMs

/** End of the last window that a pane belongs to; from there on the pane's records are late. */
export const lastWindowEnd = (shape: WindowShape, pane: number): number => pane + shape.windowSizeMs

/** Starts of the panes of the window [start, start + size), oldest first. */
export function panesOfWindow(shape: WindowShape, start: number): number[] {
  const panes: number[] = []
  for (let pane = start; pane < start + shape.windowSizeMs; pane += shape.windowSlideMs) {
    panes.push(pane)
  }
  return panes
}

/** Starts of the windows that a pane belongs to, oldest first. */
export function windowsOfPane(shape: WindowShape, pane: number): number[] {
  const starts: number[] = []
  const oldest = pane + shape.windowSlideMs - shape.windowSizeMs
  for (let start = oldest; start <= pane; start += shape.windowSlideMs) starts.push(start)
  return starts
}

/** The latest window end that a watermark has passed. */
export function closableTo(shape: WindowShape, watermark: number): number {
  return Math.floor(watermark / shape.windowSlideMs) * shape.windowSlideMs
}
