/** Executor time and money so far, beside a fleet that is always at its maximum. */
import * as format from '/format.js'
import { put } from '/rows.js'

const byId = (id) => document.getElementById(id)

export function showCost(cost, now) {
  const { executorSeconds: used, staticExecutorSeconds: fixed, money, since } = cost
  const most = Math.max(used, fixed)
  put(byId('saved'), format.share(cost.savedShare))
  put(byId('used'), withMoney(used, money.used))
  put(byId('static'), withMoney(fixed, money.static))
  byId('usedBar').style.width = share(used, most)
  byId('staticBar').style.width = share(fixed, most)
  put(byId('costSince'), since === null ? '' : `since ${format.duration(now - Date.parse(since))}`)
  byId('costSince').title = since === null ? '' : format.absolute(since)
  put(byId('money'), priceText(cost))
}

const withMoney = (seconds, money) => {
  const time = format.duration(seconds * 1_000)
  return money === null || money === 0 ? time : `${time}, ${format.money(money)}`
}

function priceText({ pricePerExecutorHour: price, money }) {
  if (!price) return 'Executor time; MILLRACE_PRICE_PER_EXECUTOR_HOUR makes money of it.'
  return `At ${format.measure(price)} an executor-hour: ${format.money(money.saved)} saved.`
}

const share = (seconds, most) => `${most > 0 ? Math.round((seconds / most) * 100) : 0}%`
