-- How the partitions of a ledger stand: `least`, of those that are read the least of their highest event
-- times, and its `holder`; `unread` where one has none yet; the `greatest` of all, and how long ago the
-- last record came. A partition is idle when the bridge has read to Kafka's end, everything is finished, and nothing
-- has come for idleAfter; or when all that it ever brought was rejected, so that it has no event
-- time to wait for: one broken producer must not keep everybody's windows open. Is every one idle, event time goes on with the clock from the last record.
-- A partition of a topic that was left holds it until what was read of it is finished.
local function standingOf(ledger, idleAfter)
  local time = now()
  local least, greatest, lastData, holder
  local running, unread = false, false
  for field, frontier in pairs(ledger) do
    local p = string.match(field, '^(%d+):frontier$')
    if p then
      local next, max = ledger[p .. ':next'], tonumber(ledger[p .. ':max'] or '')
      local dataAt = tonumber(ledger[p .. ':dataAt'])
      local atEnd = frontier == next and tonumber(next) >= tonumber(ledger[p .. ':high'])
        and time - tonumber(ledger[p .. ':seenAt']) < 5000
      if max and (not greatest or max > greatest) then greatest = max end
      if not lastData or dataAt > lastData then lastData = dataAt end
      local barren = not max and tonumber(next) > tonumber(ledger[p .. ':start'])
      local over = frontier == next and isLeft(ledger[topicField(p)])
      if not over and not (atEnd and (barren or time - dataAt >= idleAfter)) then
        running = true
        if not max then
          unread, holder = true, p
        elseif not unread and (not least or max < least) then
          least, holder = max, p
        end
      end
    end
  end
  return { unread = unread, running = running, least = least, holder = holder or '',
    greatest = greatest, since = lastData and time - lastData }
end

-- The watermark that a job's partitions allow; nil where one of them holds it.
local function watermarkOf(standing, delay)
  if standing.unread then return nil end
  if standing.running then return standing.least - delay end
  return standing.greatest and standing.greatest - delay + standing.since
end

local function frontiersOf(ledger)
  local frontiers = {}
  for field, frontier in pairs(ledger) do
    local p = string.match(field, '^(%d+):frontier$')
    if p then frontiers[p] = frontier end
  end
  return frontiers
end

-- End of the earliest window after closedTo that has a pane, and how many panes it took to find it.
-- Mostly that is the very next window, which a look at its own panes tells; only over a gap, or at
-- the beginning, all of them are looked through.
local function earliestEnd(base, size, slide, closedTo)
  local panes = key(base, 'panes')
  if closedTo then
    for pane = closedTo + slide - size, closedTo, slide do
      if redis.call('HEXISTS', panes, int(pane)) == 1 then return closedTo + slide, 0 end
    end
  end
  local earliest
  local all = redis.call('HKEYS', panes)
  for _, text in ipairs(all) do
    local pane = tonumber(text)
    local first = pane + slide
    if closedTo and first <= closedTo then first = closedTo + slide end
    if first <= pane + size and (not earliest or first < earliest) then earliest = first end
  end
  return earliest, #all
end

-- The same where closed windows may change: there may be thousands of panes, which are then in order.
local function nextEnd(base, shape, after)
  if shape.lateness == 0 then return earliestEnd(base, shape.size, shape.slide, after) end
  local from = after and int(after + shape.slide - shape.size) or '-inf'
  local found = redis.call('ZRANGEBYSCORE', key(base, 'order'), from, '+inf', 'LIMIT', '0', '1')[1]
  if not found then return nil, 0 end
  local first = tonumber(found) + shape.slide
  return after and math.max(first, after + shape.slide) or first, 0
end

local function dropPane(base, shape, pane)
  redis.call('UNLINK', key(base, 'pane:' .. int(pane)))
  redis.call('HDEL', key(base, 'panes'), int(pane))
  if shape.lateness > 0 then redis.call('ZREM', key(base, 'order'), int(pane)) end
end

-- Bytes of sketches that merge in the time of the budget's unit, which is a group that is merged by itself, and
-- groups that are looked through in it.
local SKETCH_BYTES = 25
local SEEN_GROUPS = 10

-- Where the scan of a job's window goes on, as this process was told: a cursor means nothing to another
-- one, in which a hash lies in another order, such as Redis after a restart. A pane that is being closed
-- takes nothing in and gives nothing away, and so HSCAN gives a group once, as long as it is ours.
local scans = {}

local function placeOf(shape, pane, cursor)
  return int(shape.closing) .. ':' .. shape.telling .. ':' .. int(pane) .. ':' .. cursor
end

-- Groups of an entry's rows.
local function groupsOf(shape, rows)
  local groups, at = {}, 1
  while at <= #rows do
    groups[#groups + 1], at = struct.unpack('<I4c0', rows, at)
    at = at + shape.width
    for _ = 1, #shape.sketches do at = at + 4 + struct.unpack('<I4', rows, at) end
  end
  return groups
end

-- Notes in `emitted` which groups of the window another process has written out, entry by entry from the
-- newest on, until the budget is used; says whether that is all of them.
local function recall(base, shape, budget)
  local clock, emitted = key(base, 'clock'), key(base, 'emitted')
  local held = redis.call('HMGET', clock, 'closingPart', 'closingRecalled', 'closingKind')
  local stream = held[3] == 'update' and 'updates' or shape.isShard and 'partial' or 'closed'
  local last, before = not held[1] or held[2] == '', held[2] and '(' .. held[2] or '+'
  while not last and budget > 0 do
    local entry = redis.call('XREVRANGE', key(base, stream), before, '-', 'COUNT', '1')[1]
    if not entry then break end
    local fields = map(entry[2])
    if fields['end'] ~= int(shape.closing) then break end
    local groups = groupsOf(shape.cells, fields.rows)
    for first = 1, #groups, 1000 do
      redis.call('SADD', emitted, unpack(groups, first, math.min(first + 999, #groups)))
    end
    redis.call('HSET', clock, 'closingRecalled', entry[1])
    before, last, budget = '(' .. entry[1], fields.part == '0', budget - 1 - #groups / 2
  end
  if budget <= 0 and not last then return budget, false end
  redis.call('HDEL', clock, 'closingRecalled')
  return budget, true
end

-- Of the names and states in a part of HSCAN's page those that no earlier pane has, and that were not
-- written out by another process.
local function newIn(base, shape, pane, names, states)
  local emitted = key(base, 'emitted')
  local isOut = redis.call('EXISTS', emitted) == 1 and redis.call('SMISMEMBER', emitted, unpack(names)) or {}
  for earlier = shape.closing - shape.size, pane - shape.slide, shape.slide do
    for i, held in ipairs(redis.call('HMGET', key(base, 'pane:' .. int(earlier)), unpack(names))) do
      if held then isOut[i] = 1 end
    end
  end
  local groups, theirs = {}, {}
  for i, name in ipairs(names) do
    if isOut[i] ~= 1 then groups[#groups + 1], theirs[#theirs + 1] = name, states[i] end
  end
  return groups, theirs
end

-- The rows of some groups, which are in no pane before this one, merged with what the later panes hold of
-- them; answers with what that costs.
local function closeGroups(base, shape, pane, groups, states, rows)
  local cells, cost = shape.cells, #groups * shape.cells.cost
  for other = pane + shape.slide, shape.closing - shape.slide, shape.slide do
    local held = redis.call('HMGET', key(base, 'pane:' .. int(other)), unpack(groups))
    local places, before, added = {}, {}, {}
    for i, more in ipairs(held) do
      if more then
        local at = #places + 1
        places[at], before[at], added[at] = i, states[i], more
        -- What slots cost is in the group's own share; a sketch costs by its bytes.
        cost = cost + (#more - cells.width) / SKETCH_BYTES
      end
    end
    for i, state in ipairs(mergeAll(cells, before, added)) do states[places[i]] = state end
  end
  local parts = {}
  for i, group in ipairs(groups) do
    parts[3 * i - 2], parts[3 * i - 1], parts[3 * i] = #group, group, states[i]
  end
  rows[#rows + 1] = struct.pack('<' .. string.rep('I4c0c0', #groups), unpack(parts))
  return cost
end

-- Rows of one HSCAN step over a pane of the window that is being closed: each group once, merged over the
-- window's panes. What sketches cost is seen one by one, and so a page of them may end in the middle, with
-- its groups in `emitted`; it is scanned again then.
local function closePage(base, shape, pane, cursor, rows, budget)
  local page = redis.call('HSCAN', key(base, 'pane:' .. int(pane)), cursor, 'COUNT', '200')
  local found, plain, looked = page[2], shape.cells.sketches == '', 0
  local together = plain and shape.cells.together or 1
  for first = 1, #found, 2 * together do
    local names, states = {}, {}
    for at = first, math.min(first + 2 * together - 2, #found - 1), 2 do
      names[#names + 1], states[#states + 1] = found[at], found[at + 1]
    end
    local groups, theirs = newIn(base, shape, pane, names, states)
    looked = looked + #names * shape.size / shape.slide / SEEN_GROUPS
    if #groups > 0 then
      -- Only here: those that are out are passed again, and must not use up what new ones need.
      if budget <= 0 and not plain then return cursor, budget, false end
      budget = budget - closeGroups(base, shape, pane, groups, theirs, rows)
      if not plain then redis.call('SADD', key(base, 'emitted'), groups[1]) end
    end
  end
  return page[1], budget - 1 - looked, page[1] == '0'
end

-- One step of closing: replies with the cursor, the budget's rest, whether the pane is through.
local function closeStep(base, shape, pane, cursor, rows, budget)
  if scans[base] ~= placeOf(shape, pane, cursor) then
    local all
    budget, all = recall(base, shape, budget)
    if not all then return cursor, budget, false end
    cursor = '0'
  end
  local through
  cursor, budget, through = closePage(base, shape, pane, cursor, rows, budget)
  scans[base] = placeOf(shape, through and pane + shape.slide or pane, cursor)
  return cursor, budget, through
end

-- Emits the rows of the window that is being written out, until it is done or the budget is used.
local function closeSome(base, shape, budget)
  local clock = key(base, 'clock')
  local state = redis.call('HMGET', clock, 'closing', 'closingPane', 'closingCursor',
    shape.lateness > 0 and 'tellings' or 'closedWindows', 'closingPart')
  shape.closing = tonumber(state[1])
  local told = telling(base)
  shape.telling = told and told.revision or ''
  local pane, cursor, rows = tonumber(state[2]), state[3], {}
  while pane < shape.closing and budget > 0 do
    local through
    cursor, budget, through = closeStep(base, shape, pane, cursor, rows, budget)
    if through then pane = pane + shape.slide end
  end
  local last = pane >= shape.closing
  local part = tonumber(state[5] or '0')
  local into = told and told.kind == 'update' and emitUpdate or emit
  into(base, shape, shape.closing - shape.size, table.concat(rows), last, state[4] or '0', part,
    told and told.fields)
  if last then
    redis.call('HDEL', clock, 'closing', 'closingPane', 'closingCursor', 'closingPart')
    redis.call('UNLINK', key(base, 'emitted'))
    if told then endTelling(base, shape, shape.closing, told, part > 0) end
    if not told or told.isFinal then dropPane(base, shape, shape.closing - shape.size) end
  else
    redis.call('HSET', clock, 'closingPane', int(pane), 'closingCursor', cursor,
      'closingPart', int(part + 1))
  end
  return told and budget - 2 or budget
end

-- Where closed windows may change, moves finalTo window by window to `limit`: what is still to be told of
-- a window is told, and then its oldest pane goes.
local function settleWindows(base, shape, limit, budget)
  local clock = key(base, 'clock')
  local finalTo = tonumber(redis.call('HGET', clock, 'finalTo') or '')
  while finalTo and limit and budget > 0 and finalTo < limit do
    local earliest = nextEnd(base, shape, finalTo)
    budget = budget - 1
    finalTo = earliest and math.min(earliest, limit) or limit
    redis.call('HSET', clock, 'finalTo', int(finalTo))
    if earliest and earliest <= limit then
      if redis.call('ZSCORE', key(base, 'revise'), int(earliest)) then
        beginWindow(base, shape, earliest, changedKind(base, earliest), true)
        budget = closeSome(base, shape, math.max(budget, 1))
      else
        redis.call('HDEL', key(base, 'revisions'), int(earliest))
        dropPane(base, shape, earliest - shape.size)
      end
    end
  end
  return budget
end

-- Closes the next window, if the watermark has passed one; says what is closed then. `finalLimit`: up to
-- there closed windows are final.
local function closeNext(base, shape, closedTo, limit, finalLimit, budget)
  local clock = key(base, 'clock')
  local earliest, looks = nextEnd(base, shape, closedTo)
  budget = budget - looks / 50
  local before = closedTo
  closedTo = earliest and math.min(earliest, limit) or limit
  redis.call('HSET', clock, 'closedTo', int(closedTo))
  local due = earliest and earliest <= limit
  local isFinal = closedTo <= finalLimit
  if shape.lateness > 0 and (isFinal or not before) then
    -- Before the first there is nothing that could change.
    local finalTo = isFinal and closedTo or math.min(closedTo - shape.slide, finalLimit)
    redis.call('HSET', clock, 'finalTo', int(finalTo))
  end
  if due then
    beginWindow(base, shape, closedTo, 'close', isFinal)
    budget = closeSome(base, shape, math.max(budget, 1))
  end
  return closedTo, budget
end

-- Tells what has changed of windows that are out already, or open still.
local function tellChanges(base, shape, closedTo, finalTo, budget)
  while budget > 0 do
    local ending, isOpen = dueRevision(base, shape, closedTo, finalTo)
    if not ending then return budget end
    beginWindow(base, shape, ending, isOpen and 'update' or changedKind(base, ending), false)
    budget = closeSome(base, shape, math.max(budget, 1))
  end
  return budget
end

-- Moves closedTo window by window to where the watermark allows; says whether there is more to do.
local function advanceWindows(base, shape, watermark, closedTo, budget)
  local clock = key(base, 'clock')
  local function aligned(time) return math.floor(time / shape.slide) * shape.slide end
  local function finalTo() return tonumber(redis.call('HGET', clock, shape.bound) or '') end
  if redis.call('HEXISTS', clock, 'closing') == 1 then budget = closeSome(base, shape, budget) end
  if shape.revised then budget = planRevisions(base, shape, closedTo, finalTo(), budget) end
  local limit = watermark and aligned(watermark)
  local finalLimit = watermark and aligned(watermark - shape.lateness)
  while limit and budget > 0 do
    if shape.lateness > 0 and closedTo then
      budget = settleWindows(base, shape, math.min(finalLimit, closedTo), budget)
    end
    if budget <= 0 or (closedTo and closedTo >= limit) then break end
    closedTo, budget = closeNext(base, shape, closedTo, limit, finalLimit, budget)
  end
  if shape.revised then budget = tellChanges(base, shape, closedTo, finalTo(), budget) end
  -- What is left to be told when the budget is used is told by the next call.
  return closedTo, redis.call('HEXISTS', clock, 'closing') == 1
    or (limit and (not closedTo or closedTo < limit)) or (shape.revised and budget <= 0)
end

-- It never goes back. Answers with where it is.
local function moveWatermark(base, candidate)
  local clock = key(base, 'clock')
  local held = tonumber(redis.call('HGET', clock, 'watermark') or '')
  if not candidate or (held and candidate <= held) then return held end
  redis.call('HSET', clock, 'watermark', int(math.floor(candidate)))
  return math.floor(candidate)
end

-- advance: moves the watermark, then closes what it has passed, a bounded step at a time.
-- args: ops, window size, slide (of sessions s and the gap; cells.lua), watermark delay, idle after,
--       groups at the most, closed entries kept, their bytes, closed entries held for sinks that are behind, names of the job's sinks, …
-- reply: watermark or '', closedTo or '', 1 where there is more to do at once, holding partition or '',
--        finalTo or '' where closed windows do not change
register('advance', function(keys, args)
  local base = keys[1]
  local clock = key(base, 'clock')
  local shape = readShape(args[1], args[2], args[3])
  readKept(shape, args[7], args[8], args[9], { unpack(args, 10) })
  local ledger = map(redis.call('HGETALL', key(base, 'ledger')))
  local standing = standingOf(ledger, tonumber(args[5]))
  local watermark = moveWatermark(base, watermarkOf(standing, tonumber(args[4])))
  local closedTo = tonumber(redis.call('HGET', clock, 'closedTo') or '')
  local budget = tonumber(args[6])
  local walking, more = follow(base, frontiersOf(ledger)), false
  if shape.gap then
    closedTo, more = advanceSessions(base, shape, watermark, closedTo, budget)
  else
    closedTo, more = advanceWindows(base, shape, watermark, closedTo, budget)
  end
  return { watermark and int(watermark) or '', closedTo and int(closedTo) or '',
    (walking or more) and 1 or 0, standing.holder, redis.call('HGET', clock, 'finalTo') or '' }
end, { 'allow-oom' })
