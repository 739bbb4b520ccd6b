/**
 * Whether what Redis holds of a job fits together, at any moment, also in the middle of work: each
 * call of ours counts as a whole or not at all, so counters and stream can never tell two stories.
 */
import type { World } from '../world.ts'

const script = `
local base = KEYS[1]
local entries, totals = base .. ':entries', base .. ':totals'
local function total(name) return tonumber(redis.call('HGET', totals, name) or '0') end
local wrong = {}
local function must(what, held, expected)
  if held ~= expected then
    wrong[#wrong + 1] = what .. ': ' .. tostring(held) .. ', not ' .. tostring(expected)
  end
end
local waiting, bytes, missing = 0, 0, 0
local ledger = redis.call('HGETALL', base .. ':ledger')
local position = {}
for i = 1, #ledger, 2 do position[ledger[i]] = ledger[i + 1] end
local spans = {}
for _, item in ipairs(redis.call('XRANGE', entries, '-', '+')) do
  local field = {}
  for i = 1, #item[2], 2 do field[item[2][i]] = item[2][i + 1] end
  local progress = redis.call('HGET', base .. ':progress', item[1])
  local part = progress and tonumber(string.match(progress, '([^|]*)$')) or 0
  waiting = waiting + tonumber(field.n) - part
  bytes = bytes + tonumber(field.b)
  if field.d == '' and redis.call('EXISTS',
    base .. ':payload:' .. field.p .. ':' .. field.from .. ':' .. field.to) == 0 then
    missing = missing + 1
  end
  spans[field.p .. ':' .. field.from] = field.to
end
must('records waiting', total('waiting'), waiting)
must('bytes waiting', total('waitingBytes'), bytes)
must('entries in the stream', redis.call('XLEN', entries),
  total('entriesAppended') - total('entriesCommitted'))
must('payloads missing', missing, 0)
-- From the frontier to the ledger's next offset, each offset is in an entry or finished.
for name, frontier in pairs(position) do
  local p = string.match(name, '^(%d+):frontier$')
  if p then
    local at = frontier
    while at ~= position[p .. ':next'] do
      local to = spans[p .. ':' .. at]
      local finished = redis.call('HGET', base .. ':finished', p .. ':' .. at)
      if finished then
        if to then wrong[#wrong + 1] = 'finished, and in the stream: ' .. p .. ':' .. at end
        to = string.match(finished, '^[^|]*')
      end
      if not to then
        wrong[#wrong + 1] = 'nobody has partition ' .. p .. ' from offset ' .. at
        break
      end
      at = to
    end
  end
end
return wrong
`

/** What does not fit, a line each. Rejects while Redis is away. */
export async function halves({ pipeline }: World): Promise<string[]> {
  return (await pipeline.store.redis.eval(script, 1, pipeline.keys.base)) as string[]
}
