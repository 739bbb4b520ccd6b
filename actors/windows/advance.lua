-- The watermark that the ledger allows now; nil where a partition holds it.
-- A partition is idle when the bridge has read to Kafka's end, everything is finished, and nothing
-- has come for idleAfter; or when all that it ever brought was rejected, so that it has no event
-- time to wait for: one broken producer must not keep everybody's windows open. Is every one idle, event time goes on with the clock from the last record.
-- A partition of a topic that was left holds it until what was read of it is finished.
local function watermarkOf(ledger, delay, idleAfter)
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
  if unread then return nil, holder end
  if running then return least - delay, holder end
  if greatest then return greatest - delay + time - lastData, '' end
  return nil, ''
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

local function dropPane(base, pane)
  redis.call('UNLINK', key(base, 'pane:' .. int(pane)))
  redis.call('HDEL', key(base, 'panes'), int(pane))
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
  return int(shape.closing) .. ':' .. int(pane) .. ':' .. cursor
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
  local held = redis.call('HMGET', clock, 'closingPart', 'closingRecalled')
  local last, before = not held[1] or held[2] == '', held[2] and '(' .. held[2] or '+'
  while not last and budget > 0 do
    local entry = redis.call('XREVRANGE', key(base, 'closed'), before, '-', 'COUNT', '1')[1]
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

-- Emits the rows of the window that is being closed, until it is done or the budget is used.
local function closeSome(base, shape, budget)
  local clock = key(base, 'clock')
  local state = redis.call('HMGET', clock, 'closing', 'closingPane', 'closingCursor', 'closedWindows',
    'closingPart')
  shape.closing = tonumber(state[1])
  local pane, cursor, rows = tonumber(state[2]), state[3], {}
  while pane < shape.closing and budget > 0 do
    local through
    cursor, budget, through = closeStep(base, shape, pane, cursor, rows, budget)
    if through then pane = pane + shape.slide end
  end
  local last = pane >= shape.closing
  local part = tonumber(state[5] or '0')
  emit(base, shape, shape.closing - shape.size, table.concat(rows), last, state[4] or '0', part)
  if last then
    redis.call('HDEL', clock, 'closing', 'closingPane', 'closingCursor', 'closingPart')
    redis.call('UNLINK', key(base, 'emitted'))
    dropPane(base, shape.closing - shape.size)
  else
    redis.call('HSET', clock, 'closingPane', int(pane), 'closingCursor', cursor,
      'closingPart', int(part + 1))
  end
  return budget
end

-- Moves closedTo window by window to where the watermark allows; says whether there is more to do.
local function advanceWindows(base, shape, watermark, closedTo, budget)
  local clock = key(base, 'clock')
  if redis.call('HEXISTS', clock, 'closing') == 1 then budget = closeSome(base, shape, budget) end
  local limit = watermark and math.floor(watermark / shape.slide) * shape.slide
  while limit and budget > 0 and (not closedTo or closedTo < limit) do
    local earliest, looks = earliestEnd(base, shape.size, shape.slide, closedTo)
    budget = budget - looks / 50
    closedTo = earliest and math.min(earliest, limit) or limit
    redis.call('HSET', clock, 'closedTo', int(closedTo))
    if earliest and earliest <= limit then
      redis.call('HSET', clock, 'closing', int(closedTo), 'closingPane', int(closedTo - shape.size),
        'closingCursor', '0')
      redis.call('HINCRBY', clock, 'closedWindows', 1)
      budget = closeSome(base, shape, math.max(budget, 1))
    end
  end
  return closedTo, redis.call('HEXISTS', clock, 'closing') == 1 or (limit and closedTo < limit)
end

-- advance: moves the watermark, then closes what it has passed, a bounded step at a time.
-- args: ops, window size, slide (of sessions s and the gap), watermark delay, idle after,
--       groups at the most, closed entries kept, their bytes, closed entries held for sinks that are behind, names of the job's sinks, …
-- reply: watermark or '', closedTo or '', 1 where there is more to do at once, holding partition or ''
register('advance', function(keys, args)
  local base = keys[1]
  local clock = key(base, 'clock')
  local shape = readShape(args[1], args[2], args[3])
  shape.closedKept, shape.closedBytes, shape.sinks = tonumber(args[7]), tonumber(args[8]), {}
  for i = 10, #args do shape.sinks[#shape.sinks + 1] = args[i] end
  shape.closedMost = #shape.sinks > 0 and tonumber(args[9]) or shape.closedKept
  local ledger = map(redis.call('HGETALL', key(base, 'ledger')))
  local candidate, holder = watermarkOf(ledger, tonumber(args[4]), tonumber(args[5]))
  local held = redis.call('HMGET', clock, 'watermark', 'closedTo')
  local watermark, closedTo = tonumber(held[1] or ''), tonumber(held[2] or '')
  if candidate and (not watermark or candidate > watermark) then
    watermark = math.floor(candidate)
    redis.call('HSET', clock, 'watermark', int(watermark))
  end
  local budget = tonumber(args[6])
  local walking, more = follow(base, frontiersOf(ledger)), false
  if shape.gap then
    closedTo, more = advanceSessions(base, shape, watermark, closedTo, budget)
  else
    closedTo, more = advanceWindows(base, shape, watermark, closedTo, budget)
  end
  return { watermark and int(watermark) or '', closedTo and int(closedTo) or '',
    (walking or more) and 1 or 0, holder or '' }
end, { 'allow-oom' })
