-- Windows that are told more than once: closed ones that late records may still change (`lateness`), and
-- open ones for the sinks that want to hear of them (`updates`).
--
--   commit → `changed` → `revise` → the window once more, whole, with the next number → … → final
--
-- `changed`: panes that got something which is to be told. `revise`: window's end → when it is due, by
-- Redis's clock; what comes until then is told with it. `revisions`: window's end → number of the newest
-- revision, `|`, when the next may be due; until the window is final. `order`: where closed windows may
-- change, all panes by their start.
local REVISE_MS = 1000

-- Notes what a commit has changed of windows that are out, or that are followed while they are open.
local function markChanged(base, shape, panes)
  local changed, ordered = {}, {}
  for _, pane in ipairs(panes) do
    local start = int(pane.start)
    if shape.updates > 0 or (shape.outTo and pane.start + shape.slide <= shape.outTo) then
      changed[#changed + 1] = start
    end
    ordered[#ordered + 1] = start
    ordered[#ordered + 1] = start
  end
  if #changed > 0 then redis.call('SADD', key(base, 'changed'), unpack(changed)) end
  if shape.lateness > 0 and #ordered > 0 then
    redis.call('ZADD', key(base, 'order'), unpack(ordered))
  end
end

-- Puts a window on the list; sooner where it stood there for a time that the clock has not come to yet.
-- `held`: of `revisions`.
local function planRevision(base, shape, ending, isOpen, held, time)
  local every = isOpen and shape.updates or REVISE_MS
  local next = tonumber(held and string.match(held, '|(%d+)$') or '')
  local due = math.min(math.max(next or (isOpen and time + every or time), time), time + every)
  local revise = key(base, 'revise')
  local planned = tonumber(redis.call('ZSCORE', revise, ending) or '')
  if not planned or planned > due then redis.call('ZADD', revise, int(due), ending) end
end

-- Turns changed panes into the windows that are to be told anew; what is final is told no more. Answers
-- with the budget's rest: only when it is left is every change on the list.
local function planRevisions(base, shape, closedTo, finalTo, budget)
  local time = now()
  for _, text in ipairs(redis.call('SMEMBERS', key(base, 'changed'))) do
    if budget <= 0 then return budget end
    local pane, endings = tonumber(text), {}
    local first = math.max(pane, finalTo or pane) + shape.slide
    for ending = first, pane + shape.size, shape.slide do
      if shape.updates > 0 or (closedTo and ending <= closedTo) then
        endings[#endings + 1] = int(ending)
      end
    end
    local held = #endings > 0 and redis.call('HMGET', key(base, 'revisions'), unpack(endings))
    for i, ending in ipairs(endings) do
      local isOpen = not closedTo or tonumber(ending) > closedTo
      planRevision(base, shape, ending, isOpen, held[i], time)
    end
    redis.call('SREM', key(base, 'changed'), text)
    budget = budget - 1 - #endings / 2
  end
  return budget
end

-- The window that is due now; nil for none. What was listed by another version of the job goes.
local function dueRevision(base, shape, closedTo, finalTo)
  local revise = key(base, 'revise')
  for _ = 1, STEPS_MAX do
    local due = redis.call('ZRANGEBYSCORE', revise, '-inf', int(now()), 'LIMIT', '0', '1')[1]
    local ending = tonumber(due or '')
    if not ending then return nil end
    local isOpen = not closedTo or ending > closedTo
    local isOver = finalTo and ending <= finalTo
    if not isOver and (not isOpen or shape.updates > 0) then return ending, isOpen end
    redis.call('ZREM', revise, due)
  end
end

-- How a closed window is told that has changed: one that late records have made is closed by that.
local function changedKind(base, ending)
  return redis.call('HEXISTS', key(base, 'revisions'), int(ending)) == 1 and 'revise' or 'close'
end

-- Begins to write a window out: `close`, `revise` where it is closed already, `update` while it is open.
-- `isFinal`: nothing can change it any more.
local function beginWindow(base, shape, ending, kind, isFinal)
  local clock = key(base, 'clock')
  redis.call('HSET', clock, 'closing', int(ending), 'closingPane', int(ending - shape.size),
    'closingCursor', '0')
  if kind == 'close' then redis.call('HINCRBY', clock, 'closedWindows', 1) end
  if not shape.revised then return end
  if shape.lateness > 0 and kind ~= 'update' then redis.call('HINCRBY', clock, 'tellings', 1) end
  local held = redis.call('HGET', key(base, 'revisions'), int(ending))
  local newest = tonumber(held and string.match(held, '^(%d+)|') or '-1')
  -- One after the other over both streams.
  redis.call('HINCRBY', clock, 'told', 1)
  redis.call('HSET', clock, 'closingKind', kind, 'closingRevision', int(newest + 1),
    'closingFinal', isFinal and '1' or '0', 'closingSince', int(now()))
  redis.call('ZREM', key(base, 'revise'), int(ending))
end

-- What the window that is being written out is told as; nil of a job that tells each window once.
local function telling(base)
  local held = redis.call('HMGET', key(base, 'clock'), 'closingKind', 'closingRevision', 'closingFinal',
    'closingSince', 'closedTo', 'finalTo', 'told')
  if not held[1] then return nil end
  return { kind = held[1], revision = held[2], isFinal = held[3] == '1', since = tonumber(held[4]),
    fields = { 'revision', held[2], 'open', held[1] == 'update' and '1' or '0', 'final', held[3],
      'closedTo', held[5] or '', 'finalTo', held[6] or held[5] or '', 'told', held[7] } }
end

-- Behind the last entry of a window. One of many groups, which takes several calls (`isLarge`), keeps commits
-- to it waiting while it is written out; so the longer that took, the longer is the pause after it.
local PAUSE = 4
local function endTelling(base, shape, ending, told, isLarge)
  local clock, revisions = key(base, 'clock'), key(base, 'revisions')
  redis.call('HDEL', clock, 'closingKind', 'closingRevision', 'closingFinal', 'closingSince')
  if told.isFinal then return redis.call('HDEL', revisions, int(ending)) end
  local time = now()
  local every = told.kind == 'update' and shape.updates or (told.kind == 'revise' and REVISE_MS or 0)
  local next = time + math.max(every, isLarge and PAUSE * (time - told.since) or 0)
  return redis.call('HSET', revisions, int(ending), told.revision .. '|' .. int(next))
end
