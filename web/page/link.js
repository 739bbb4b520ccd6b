/**
 * The page's end of the hub (hub.js): a shared worker where the browser has them, else a hub of the
 * page's own. Tells it whether anybody looks.
 */
import { createHub } from '/hub.js'

/** Calls `take` with each batch of events: [{ name, data, ageMs? }]. */
export function connect(take) {
  const hub = 'SharedWorker' in globalThis ? workerHub(take) : ownHub(take)
  hub.say('join')
  document.addEventListener('visibilitychange', () => {
    hub.say(document.hidden ? 'hidden' : 'visible')
  })
  addEventListener('pagehide', () => hub.say('leave'))
  // Back from the browser's memory of pages, with what it knew then.
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) hub.say('join')
  })
}

function workerHub(take) {
  const worker = new SharedWorker('/hub.js', { type: 'module', name: 'millrace' })
  worker.port.onmessage = ({ data }) => take(data.events)
  const hub = { say: (word) => worker.port.postMessage(word) }
  worker.onerror = () => {
    const own = ownHub(take)
    hub.say = own.say
    own.say('join')
  }
  return hub
}

function ownHub(take) {
  const hub = createHub()
  const post = ({ events }) => take(events)
  return {
    say(word) {
      if (word === 'join') hub.join(post)
      else if (word === 'leave') hub.leave(post)
      else hub.shows(post, word === 'visible')
    },
  }
}
