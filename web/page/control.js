/**
 * What people may change: the limits of the fleet and how old results may be, pause, one executor's end. Each is said in a sentence
 * and confirmed; then the page waits until it sees the effect, and says so.
 */
import { isLiving } from '/executors.js'
import * as format from '/format.js'
import { put } from '/rows.js'

/** The effect of what was asked is looked for so long. */
const EFFECT_MS = 30_000

const byId = (id) => document.getElementById(id)

export function createControl() {
  const dialog = byId('control')
  let job = null
  let status = null
  let executors = []
  /** What was asked and is not seen yet: { isSeen(), done, until }. */
  let awaited = null

  const say = (text, kind = '') => {
    put(byId('controlResult'), text)
    byId('controlResult').className = `result ${kind}`
  }

  const send = async ({ path, body, isSeen, done }) => {
    const headers = { 'Content-Type': 'application/json' }
    const token = byId('token').value
    if (token !== '') headers.Authorization = `Bearer ${token}`
    say('Asking …')
    try {
      const answer = await fetch(path, {
        method: 'POST',
        headers,
        body: JSON.stringify(body ?? {}),
      })
      if (!answer.ok) return say(await refusal(answer), 'bad')
    } catch {
      return say('The server does not answer; nothing may have changed.', 'bad')
    }
    say('Accepted; waiting to see its effect …')
    awaited = { isSeen, done, until: performance.now() + EFFECT_MS }
    look()
  }

  const look = () => {
    if (!awaited) return
    if (awaited.isSeen()) {
      say(awaited.done, 'good')
      awaited = null
    } else if (performance.now() > awaited.until) {
      say('Accepted, but its effect was not seen yet: does a supervisor lead?', 'bad')
      awaited = null
    }
  }

  const confirm = createConfirm(send)
  const ask = {
    limits() {
      const [min, max] = [byId('min'), byId('max')].map((input) => input.valueAsNumber)
      const valid = [min, max].every((n) => Number.isInteger(n) && n >= 0 && n <= 64) && min <= max
      if (!valid)
        return say('Least and most are whole numbers from 0 to 64, the least not above.', 'bad')
      const delay = byId('delay')
      if (!delay.validity.valid)
        return say(`Results are within ${delay.min} to ${delay.max} seconds.`, 'bad')
      const limits = { min, max, ...delayOf(delay, status) }
      const text = limitsText(limits)
      confirm({
        text: `Run ${text}?`,
        path: '/api/executors',
        body: limits,
        isSeen: () => Object.entries(limits).every(([name, n]) => status.executors[name] === n),
        done: `In effect: ${text}.`,
      })
    },
    pause() {
      const pauses = status?.state !== 'paused'
      confirm({
        text: pauses
          ? 'Pause the job? Executors finish and leave; records wait, none is lost.'
          : 'Resume the job?',
        path: pauses ? '/api/pause' : '/api/resume',
        isSeen: () => (status.state === 'paused') === pauses,
        done: pauses ? 'Paused.' : 'Resumed.',
      })
    },
    drain(id) {
      confirm({
        text: `Drain ${id}? It finishes what it has in hand and leaves; the supervisor starts another where one is needed.`,
        path: `/api/executors/${encodeURIComponent(id)}/drain`,
        isSeen: () =>
          !executors.some((one) => one.id === id && ['starting', 'running'].includes(one.state)),
        done: `${id} has left, or is about to.`,
      })
    },
  }

  const open = () => {
    say('')
    confirm.hide()
    const { min, max, maxResultDelayMs: delayMs } = status?.executors ?? {}
    byId('min').value = min ?? 0
    byId('max').value = max ?? 4
    byId('delay').value = Number.isFinite(delayMs) ? delayMs / 1_000 : ''
    showDrains(executors)
    dialog.showModal()
  }

  byId('openControl').addEventListener('click', open)
  byId('closeControl').addEventListener('click', () => dialog.close())
  byId('setLimits').addEventListener('click', ask.limits)
  byId('pause').addEventListener('click', ask.pause)
  byId('drain').addEventListener('click', () => ask.drain(byId('drainId').value))
  byId('controlForm').addEventListener('submit', (event) => event.preventDefault())

  return {
    /** From the table of executors. */
    drain(id) {
      open()
      byId('drainId').value = id
      ask.drain(id)
    },
    show(given) {
      ;({ job, status, executors } = { job, status, executors, ...given })
      byId('tokenField').hidden = job?.control.needsToken !== true
      put(byId('pause'), status?.state === 'paused' ? 'Resume' : 'Pause')
      put(byId('pauseText'), pauseText(status))
      look()
    },
    executorsChanged() {
      if (dialog.open) showDrains(executors)
    },
  }
}

/** Asks once more before anything is done. */
function createConfirm(send) {
  const box = byId('confirm')
  let wanted = null
  const hide = () => {
    box.hidden = true
    wanted = null
  }
  byId('confirmYes').addEventListener('click', () => {
    const request = wanted
    hide()
    if (request) void send(request)
  })
  byId('confirmNo').addEventListener('click', hide)
  const confirm = (request) => {
    wanted = request
    put(byId('confirmText'), request.text)
    put(byId('controlResult'), '')
    box.hidden = false
    byId('confirmYes').focus()
  }
  return Object.assign(confirm, { hide })
}

function showDrains(executors) {
  const living = executors.filter(isLiving).map(({ id }) => id)
  const select = byId('drainId')
  const held = [...select.options].map(({ value }) => value)
  if (held.join() !== living.join()) {
    const chosen = select.value
    select.replaceChildren(...living.map((id) => new Option(id, id, false, id === chosen)))
  }
  byId('drainSet').disabled = living.length === 0
}

/** Only where it is another one: what nobody changes stays the supervisor's to say. */
function delayOf(input, status) {
  const maxResultDelayMs = Math.round(input.valueAsNumber * 1_000)
  const same = maxResultDelayMs === status?.executors.maxResultDelayMs
  return input.value === '' || same ? {} : { maxResultDelayMs }
}

function limitsText({ min, max, maxResultDelayMs: delayMs }) {
  const within = delayMs === undefined ? '' : `, results within ${format.duration(delayMs)}`
  return `${min} to ${max} executors${within}`
}

function pauseText(status) {
  if (status?.state === 'paused') return 'Paused: no executor runs, records wait.'
  const count = status?.executors.count
  return count === undefined ? '' : `At work with ${format.count(count, 'executor')}.`
}

async function refusal(answer) {
  try {
    const { error } = await answer.json()
    return `Refused: ${error.message}`
  } catch {
    return `Refused with status ${answer.status}`
  }
}
