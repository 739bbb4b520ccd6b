/** Takes a stopped job off the list: asks once more, then says what the server said. */
import { put } from '/rows.js'

const byId = (id) => document.getElementById(id)

/** Gives the function that asks about a job; `done` is called when one was forgotten. */
export function createForget(done) {
  const dialog = byId('forgetting')
  let wanted = null
  const say = (text) => put(byId('forgetResult'), text)

  const send = async () => {
    const headers = { 'Content-Type': 'application/json' }
    const token = byId('token').value
    if (token !== '') headers.Authorization = `Bearer ${token}`
    try {
      const path = `/api/jobs/${encodeURIComponent(wanted)}/forget`
      const answer = await fetch(path, { method: 'POST', headers, body: '{}' })
      const body = await answer.json()
      if (!answer.ok) return say(`Refused: ${body.error.message}`)
    } catch {
      return say('The server does not answer; nothing may have changed.')
    }
    dialog.close()
    done()
  }

  byId('forgetYes').addEventListener('click', () => void send())
  byId('forgetNo').addEventListener('click', () => dialog.close())
  byId('forgetForm').addEventListener('submit', (event) => event.preventDefault())
  void askForToken()

  return (job) => {
    wanted = job
    put(
      byId('forgetText'),
      `Forget ${job}? It is taken off the list; what it has in Redis stays, and it is back when it is started again.`,
    )
    say('')
    dialog.showModal()
  }
}

async function askForToken() {
  try {
    const answer = await fetch('/api/job')
    byId('tokenField').hidden = (await answer.json()).control.needsToken !== true
  } catch {
    // Without one the server says that it is needed.
  }
}
