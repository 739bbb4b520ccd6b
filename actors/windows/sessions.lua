-- Open sessions (actors/windows/span.ts). `sessions`: group → its sessions in the order of their first
-- event time, each a state behind its u32 length, whose last two slots are the first and the last event
-- time. `ends`: group → when the first of its sessions ends. What ends by `closedTo` is closed, also while
-- it is still here to be written out: nothing merges with it any more.

local function sessionEnd(shape, last)
  return math.min(last + shape.gap, (math.floor(last / shape.size) + 1) * shape.size)
end

local function spanOf(shape, state)
  return struct.unpack('<dd', state, shape.cells.width - 15)
end

-- A group's sessions out of its bytes: first, last, the state and what it ends at.
local function readSessions(shape, bytes)
  local list, at = {}, 1
  while at <= #bytes do
    local length = struct.unpack('<I4', bytes, at)
    local state = string.sub(bytes, at + 4, at + 3 + length)
    if not fits(shape.cells, state) then return nil end
    local first, last = spanOf(shape, state)
    list[#list + 1] = { first = first, last = last, state = state, ends = sessionEnd(shape, last) }
    at = at + 4 + length
  end
  return list
end

local function writeSessions(list)
  local parts = {}
  for _, session in ipairs(list) do
    parts[#parts + 1] = struct.pack('<I4', #session.state)
    parts[#parts + 1] = session.state
  end
  return table.concat(parts)
end

-- Puts one more session among a group's, merged with all that it touches. Answers with the list and
-- whether it touched any.
local function putSession(shape, list, new, closedTo)
  local result, placed, touched = {}, false, false
  for _, held in ipairs(list) do
    local apart = held.ends <= closedTo or held.ends <= new.first or new.ends <= held.first
      or math.floor(held.first / shape.size) ~= math.floor(new.first / shape.size)
    if apart then
      if not placed and new.first < held.first then
        result[#result + 1] = new
        placed = true
      end
      result[#result + 1] = held
    else
      touched = true
      local first, last = math.min(held.first, new.first), math.max(held.last, new.last)
      local state = merge(shape.cells, held.state, new.state)
      -- `new` may stand in the list already: it is changed, not replaced.
      new.first, new.last, new.state, new.ends = first, last, state, sessionEnd(shape, last)
    end
  end
  if not placed then result[#result + 1] = new end
  return result, touched
end

-- Sessions of one group at the most.
local SESSIONS_MAX = 100

-- What `sessions` will hold after a commit, not yet written: merging can fail, and writing must not.
-- `panes`: pieces of time, each with groups and states, a group as often as it has sessions. Answers with
-- each group's sessions, or with an obstacle: sessions that would be closed as soon as they are made,
-- which are late, or groups that are too many.
local function mergeSessions(base, shape, panes, groupsMax)
  local closedTo = tonumber(redis.call('HGET', key(base, 'clock'), 'closedTo') or '') or -math.huge
  local held = key(base, 'sessions')
  local room = groupsMax - redis.call('HLEN', held)
  local lists, late = {}, { 'late' }
  for _, pane in ipairs(panes) do
    local full = { 'full', int(pane.start) }
    for i, group in ipairs(pane.groups) do
      local list, hasRoom = lists[group], true
      if not list then
        local bytes = redis.call('HGET', held, group)
        list = readSessions(shape, bytes or '')
        if not list then return nil, { 'shape' } end
        if not bytes then room = room - 1 end
        hasRoom = bytes or room >= 0
      end
      local first, last = spanOf(shape, pane.cells[i])
      local ends, touched = sessionEnd(shape, last), false
      local new = { first = first, last = last, state = pane.cells[i], ends = ends }
      list, touched = putSession(shape, list, new, closedTo)
      lists[group] = list
      if ends <= closedTo and not touched then
        for _, part in ipairs({ group, int(first), int(last) }) do late[#late + 1] = part end
      end
      if not hasRoom or #list > SESSIONS_MAX then full[#full + 1] = group end
    end
    if #full > 2 then return nil, full end
  end
  if #late > 1 then return nil, late end
  return lists
end

-- A group's sessions as they are now; the group goes with the last of them.
local function keepSessions(base, group, list)
  if #list == 0 then
    redis.call('HDEL', key(base, 'sessions'), group)
    redis.call('ZREM', key(base, 'ends'), group)
    return
  end
  local ends = list[1].ends
  for _, session in ipairs(list) do ends = math.min(ends, session.ends) end
  redis.call('HSET', key(base, 'sessions'), group, writeSessions(list))
  redis.call('ZADD', key(base, 'ends'), int(ends), group)
end

-- The groups whose first session ends by `closing`, some of them, with their sessions; nothing is written.
local function dueSessions(base, shape, closing, most)
  local due = redis.call('ZRANGEBYSCORE', key(base, 'ends'), '-inf', int(closing), 'LIMIT', '0', int(most))
  local lists = {}
  for i, group in ipairs(due) do
    lists[i] = readSessions(shape, redis.call('HGET', key(base, 'sessions'), group))
    if not lists[i] then error('sessions of another job') end
  end
  return due, lists
end

-- Takes what ends by `closing` out of a group's sessions, into rows; answers with what that costs.
local function closeGroup(base, shape, closing, group, list, rows)
  local left, cost = {}, 0.5
  for _, session in ipairs(list) do
    if session.ends <= closing then
      rows[#rows + 1] = struct.pack('<I4', #group) .. group .. session.state
      cost = cost + 0.5 + #session.state / 1000
    else
      left[#left + 1] = session
    end
  end
  keepSessions(base, group, left)
  return cost
end

-- Writes out the rows of what ends by `closing`, until it is done or the budget is used; says whether there
-- is more. An entry's `start` is what was closed to before, its `end` what is closed to with it: the ends
-- of its rows lie in between. `again`: entries without their last one are there already.
local function closeSessions(base, shape, closing, from, budget, again)
  local most = math.max(math.floor(budget), 1)
  local due, lists = dueSessions(base, shape, closing, most)
  local rows, done = {}, 0
  while done < #due and budget > 0 do
    done = done + 1
    budget = budget - closeGroup(base, shape, closing, due[done], lists[done], rows)
  end
  local more = done < #due or #due == most
  local clock, panes = key(base, 'clock'), key(base, 'panes')
  if more then
    redis.call('HSET', clock, 'closing', int(closing), 'closingPane', int(from))
  else
    redis.call('HDEL', clock, 'closing', 'closingPane')
  end
  -- Open sessions are one pane in the list: who looks there for changes sees theirs.
  if redis.call('HLEN', key(base, 'sessions')) == 0 then redis.call('HDEL', panes, '0') end
  if #rows > 0 or again then
    local part = tonumber(redis.call('HGET', clock, 'closingPart') or '0')
    local number = again and redis.call('HGET', clock, 'closedWindows')
      or redis.call('HINCRBY', clock, 'closedWindows', 1)
    shape.closing = closing
    emit(base, shape, from, table.concat(rows), not more, number, part)
    if more then redis.call('HSET', clock, 'closingPart', int(part + 1)) end
  end
  if not more then redis.call('HDEL', clock, 'closingPart') end
  return more
end

-- Moves closedTo to the watermark, and writes out what has ended by then.
local function advanceSessions(base, shape, watermark, closedTo, budget)
  local clock = key(base, 'clock')
  local held = redis.call('HMGET', clock, 'closing', 'closingPane')
  if held[1] then
    return closedTo, closeSessions(base, shape, closedTo, tonumber(held[2]), budget, true)
  end
  if not watermark or (closedTo and closedTo >= watermark) then return closedTo, false end
  redis.call('HSET', clock, 'closedTo', int(watermark))
  if not closedTo then
    -- Nothing was closed before: just before the first of all.
    local first = tonumber(redis.call('ZRANGE', key(base, 'ends'), '0', '0', 'WITHSCORES')[2] or '')
    closedTo = math.min(first or watermark, watermark) - 1
  end
  return watermark, closeSessions(base, shape, watermark, closedTo, budget, false)
end
