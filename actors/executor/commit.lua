-- How many executors died with an entry, and its suspects: `offset|deaths`, …, one for each record
-- that was in hand at a death. Others stay in the list: a second guilty record must not clear the first.
local function suspicion(base, id, offsets, died)
  local crashes, suspects = key(base, 'crashes'), key(base, 'suspects')
  local known = redis.call('HGET', suspects, id) or ''
  if not died then
    return tonumber(redis.call('HGET', crashes, id) or '0'), known
  end
  if offsets then
    local list, deaths = {}, {}
    for other, count in string.gmatch(known, '(%d+)|(%d+)') do deaths[other] = tonumber(count) end
    for offset in string.gmatch(offsets, '%d+') do
      list[#list + 1] = offset .. '|' .. int((deaths[offset] or 0) + 1)
      deaths[offset] = nil
    end
    for other, count in string.gmatch(known, '(%d+)|(%d+)') do
      if deaths[other] then list[#list + 1] = other .. '|' .. count end
    end
    known = table.concat(list, ',')
    redis.call('HSET', suspects, id, known)
  end
  return redis.call('HINCRBY', crashes, id, 1), known
end

-- Far longer than any lease: one that ends beyond it is of a time before Redis's clock was set back.
local FAR_MS = 120000
local RENEWED_MS = 5000

-- The end of an executor's lease; a dead one must not be taken for alive until the clock is there again.
local function leaseOf(base, id, time)
  local lease = tonumber(redis.call('ZSCORE', key(base, 'leases'), id) or '')
  if lease and lease > time + FAR_MS then
    lease = time + RENEWED_MS
    redis.call('ZADD', key(base, 'leases'), int(lease), id)
  end
  return lease
end

-- claim: gives the caller entries that no living executor holds.
-- args: me, entries at the most
-- reply: for each entry {id, fields, progress or '', executors that died with it, suspects or ''}
register('claim', function(keys, args)
  local base = keys[1]
  local entries = key(base, 'entries')
  local me, wanted = args[1], tonumber(args[2])
  local time = now()
  local reply = {}
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', entries, GROUP)) do
    local consumer = map(flat)
    local lease = leaseOf(base, consumer.name, time)
    if consumer.name ~= me and (not lease or lease < time) and #reply < wanted then
      local died = redis.call('SISMEMBER', key(base, 'left'), consumer.name) == 0
      -- An executor has records of one entry in hand, so that only one of its entries is suspected.
      local hand = redis.call('HGET', key(base, 'hand'), consumer.name) or ''
      local suspected, offsets = string.match(hand, '^(.*)|([%d,]+)$')
      local pending = redis.call('XPENDING', entries, GROUP, '-', '+', wanted - #reply, consumer.name)
      for _, item in ipairs(pending) do
        local id = item[1]
        local claimed = redis.call('XCLAIM', entries, GROUP, me, 0, id)
        if claimed[1] then
          local crashes, suspects = suspicion(base, id, suspected == id and offsets, died)
          reply[#reply + 1] = { id, claimed[1][2], redis.call('HGET', key(base, 'progress'), id) or '',
            crashes, suspects }
        end
      end
      if consumer.pending <= #pending then
        -- Its pending list is empty now: only then does DELCONSUMER discard nothing.
        local rest = redis.call('XPENDING', entries, GROUP, '-', '+', 1, consumer.name)
        if #rest == 0 then
          redis.call('XGROUP', 'DELCONSUMER', entries, GROUP, consumer.name)
          redis.call('SREM', key(base, 'left'), consumer.name)
          redis.call('HDEL', key(base, 'hand'), consumer.name)
        end
      end
    end
  end
  return reply
end, { 'allow-oom' })

-- The earliest event time in a piece of sessions.
local function firstOf(shape, pane)
  local earliest = math.huge
  for _, state in ipairs(pane.cells) do
    local first = spanOf(shape, state)
    earliest = math.min(earliest, first)
  end
  return earliest
end

-- Which of the slices' entries are the caller's, by their ids: asked of all at once where they lie as they
-- were read, and of one at a time where others lie between.
local function ownOf(base, me, slices)
  local entries, own = key(base, 'entries'), {}
  local first, last = slices[1], slices[#slices]
  for _, item in ipairs(ofGroup({ 'XPENDING', entries, GROUP, first.id, last.id, #slices, me })) do
    own[item[1]] = true
  end
  for _, slice in ipairs(slices) do
    if not own[slice.id] then
      own[slice.id] = #ofGroup({ 'XPENDING', entries, GROUP, slice.id, slice.id, 1, me }) > 0
    end
  end
  return own
end

-- What would keep this commit from being applied whole; nil where nothing does.
local function obstacle(base, me, slices, panes, shape)
  local lost = { 'lost' }
  local own = #slices > 0 and ownOf(base, me, slices)
  for _, slice in ipairs(slices) do
    local from = slice.progress and string.match(slice.progress, '^[^|]*') or slice.entryFrom
    if not own[slice.id] or from ~= slice.from then
      lost[#lost + 1] = slice.id
    end
  end
  if #lost > 1 then return lost end
  local clock = map(redis.call('HGETALL', key(base, 'clock')))
  local closing, closedTo = tonumber(clock.closing or ''), tonumber(clock[shape.bound] or '')
  shape.outTo = tonumber(clock.closedTo or '')
  if shape.closedTo and shape.closedTo > (closedTo or -math.huge) then
    -- Redis came back older than the executor knew it: what was late by then may not be late now.
    return { 'closed', closedTo and int(closedTo) or '' }
  end
  for _, pane in ipairs(panes) do
    if shape.gap then
      -- Behind it a record may miss a session that is closed, which is for a verdict to say.
      if closedTo and closedTo ~= shape.closedTo and firstOf(shape, pane) < closedTo then
        return { 'closed', int(closedTo) }
      end
    elseif closing and pane.start < closing and pane.start >= closing - shape.size then
      return { 'closing' }
    elseif closedTo and closedTo ~= shape.closedTo and pane.start + shape.slide <= closedTo then
      return { 'closed', int(closedTo) }
    end
  end
end

-- The state that a commit brings for a group of a pane.
local function stateIn(pane, cells, group)
  if pane.cells then return pane.cells[group] end
  return string.sub(pane.bytes, (group - 1) * cells.width + 1, group * cells.width)
end

-- What some of a pane's groups will hold, as HSET takes it, where all are there already and are slots alone:
-- their bytes are merged as they lie.
local function mergePlain(pane, cells, first, last, held)
  local width = cells.width
  local bytes = string.sub(pane.bytes, (first - 1) * width + 1, last * width)
  local merged, fields = mergeSlots(cells, last - first + 1, table.concat(held), bytes), {}
  for i = 1, last - first + 1 do
    fields[2 * i - 1] = pane.groups[first + i - 1]
    fields[2 * i] = string.sub(merged, (i - 1) * width + 1, i * width)
  end
  return fields
end

-- What some of a pane's groups will hold, as HSET takes it; of those that it has no room for, their names go
-- to `full`. Nothing where the pane is another job's.
local function mergeGroups(pane, cells, first, last, groupsMax, full)
  local held = redis.call('HMGET', pane.key, unpack(pane.groups, first, last))
  local places, before, added, fields = {}, {}, {}, {}
  for i, state in ipairs(held) do
    if state then
      if not fits(cells, state) then return nil end
      places[#places + 1], before[#before + 1] = 2 * i, state
    end
  end
  if #before == #held and not pane.cells then return mergePlain(pane, cells, first, last, held) end
  for i, known in ipairs(held) do
    local group = first + i - 1
    fields[2 * i - 1], fields[2 * i] = pane.groups[group], stateIn(pane, cells, group)
    if known then
      added[#added + 1] = fields[2 * i]
    else
      -- Asked for where a group is new only, which is hardly ever.
      pane.room = (pane.room or groupsMax - redis.call('HLEN', pane.key)) - 1
      if pane.room < 0 then full[#full + 1] = pane.groups[group] end
    end
  end
  for i, state in ipairs(mergeAll(cells, before, added)) do fields[places[i]] = state end
  return fields
end

-- What the panes will hold, not yet written: merging can fail, and writing must not. Answers with an
-- obstacle where a pane would get too many groups.
local function mergePanes(base, panes, groupsMax, cells)
  for _, pane in ipairs(panes) do
    pane.key, pane.fields = key(base, 'pane:' .. int(pane.start)), {}
    local full = { 'full', int(pane.start) }
    for first = 1, #pane.groups, cells.together do
      local last = math.min(first + cells.together - 1, #pane.groups)
      local fields = mergeGroups(pane, cells, first, last, groupsMax, full)
      if not fields then return { 'shape' } end
      pane.fields[#pane.fields + 1] = fields
    end
    if #full > 2 then return full end
  end
end

local function writePanes(base, panes)
  for _, pane in ipairs(panes) do
    for _, fields in ipairs(pane.fields) do redis.call('HSET', pane.key, unpack(fields)) end
    redis.call('HINCRBY', key(base, 'panes'), int(pane.start), 1)
  end
end

-- Moves an entry's progress, or the frontier where it is finished.
-- A slice's records are counted against what the bridge announced from the batch headers, which may
-- hold more (a fetch that began inside a batch); the difference is taken back when the entry ends.
local function writeSlice(base, slice, totals, prefixes)
  local max, records = slice.max, slice.records
  if slice.progress then
    local held = { string.match(slice.progress, '^([^|]*)|([^|]*)|([^|]*)$') }
    if max == '' or (held[2] ~= '' and tonumber(held[2]) > tonumber(max)) then max = held[2] end
    records = records + tonumber(held[3])
  end
  if not slice.done then
    redis.call('HSET', key(base, 'progress'), slice.id, slice.to .. '|' .. max .. '|' .. int(records))
    totals.waiting = totals.waiting - slice.records
    return
  end
  finish(prefixes, slice.partition, slice.entryFrom, slice.entryTo, max)
  local announced = tonumber(slice.announced)
  totals.appended = totals.appended + records - announced
  totals.waiting = totals.waiting - slice.records + records - announced
  totals.waitingBytes = totals.waitingBytes - slice.bytes
  totals.entriesCommitted = totals.entriesCommitted + 1
end

-- Acknowledges and deletes entries that are finished, with all that was kept of them.
local function endEntries(base, me, slices)
  local entries, ids, payloads = key(base, 'entries'), {}, {}
  local hand = string.match(redis.call('HGET', key(base, 'hand'), me) or '', '^[^|]*')
  for _, slice in ipairs(slices) do
    if slice.done then
      ids[#ids + 1] = slice.id
      payloads[#payloads + 1] = payloadKey(base, slice.partition, slice.entryFrom, slice.entryTo)
      if slice.progress then redis.call('HDEL', key(base, 'progress'), slice.id) end
      if slice.id == hand then redis.call('HDEL', key(base, 'hand'), me) end
    end
  end
  if #ids == 0 then return end
  redis.call('XACK', entries, GROUP, unpack(ids))
  redis.call('XDEL', entries, unpack(ids))
  redis.call('UNLINK', unpack(payloads))
  local crashes, suspects = key(base, 'crashes'), key(base, 'suspects')
  if redis.call('EXISTS', crashes, suspects) == 0 then return end
  redis.call('HDEL', crashes, unpack(ids))
  redis.call('HDEL', suspects, unpack(ids))
end

local function writeSlices(base, me, slices, totals)
  local partitions = {}
  for i, slice in ipairs(slices) do partitions[i] = slice.partition end
  local prefixes = prefixesOf(base, partitions)
  for _, slice in ipairs(slices) do writeSlice(base, slice, totals, prefixes) end
  putPrefixes(prefixes)
  endEntries(base, me, slices)
end

-- Adds to the totals what is not 0, and to the hash of places, which is a sum modulo its own number.
local function addTotals(base, totals, hash)
  local names = { 'committed', 'hash' }
  for name, amount in pairs(totals) do
    if amount ~= 0 and name ~= 'committed' then names[#names + 1] = name end
  end
  local held, fields = redis.call('HMGET', key(base, 'totals'), unpack(names)), {}
  for i, name in ipairs(names) do
    local before = tonumber(held[i] or '0')
    fields[2 * i - 1] = name
    fields[2 * i] = int(name == 'hash' and (before + hash) % HASH_MODULUS or before + totals[name])
  end
  redis.call('HSET', key(base, 'totals'), unpack(fields))
end

local function writeSessionsOf(base, lists)
  local any = false
  for group, list in pairs(lists) do
    keepSessions(base, group, list)
    any = true
  end
  if any then redis.call('HINCRBY', key(base, 'panes'), '0', 1) end
end

-- Each with its progress, false for none.
local function readSlices(base, take)
  local slices, ids = {}, {}
  for i = 1, tonumber(take()) do
    slices[i] = { id = take(), partition = take(), entryFrom = take(), entryTo = take(),
      announced = take(), bytes = tonumber(take()), from = take(), to = take(), max = take(),
      records = tonumber(take()), done = take() == '1' }
    ids[i] = slices[i].id
  end
  if #ids == 0 then return slices end
  for i, progress in ipairs(redis.call('HMGET', key(base, 'progress'), unpack(ids))) do
    slices[i].progress = progress
  end
  return slices
end

local function readDeltas(take, shape)
  local panes = {}
  for i = 1, tonumber(take()) do
    local start, count = tonumber(take()), tonumber(take())
    local pane = { start = start, groups = strings(take(), count), bytes = take() }
    -- Slots alone are cut out of the bytes where that is needed.
    if shape.gap or shape.cells.sketches ~= '' then
      pane.cells = statesOf(shape.cells, pane.bytes, count)
    end
    panes[i] = pane
  end
  return panes
end

-- commit: everything that a set of entries does, or nothing of it.
-- args: me, ops, window size, slide (of sessions s and the gap; cells.lua), what the executor took for closed,
--       or final where closed windows may change ('' for nothing), groups of a
--       pane at the most, rejects kept, verdicts kept, topic where the ledger names none; counted, filtered, late, rejected,
--       partly, busy µs, hash of the records' places (tally.ts); slices, panes (deltas.ts), rejects, verdicts, each
--       behind its number
-- reply: {'ok'} | {'lost', id, …} not ours, or further than we knew: drop them
--        | {'closed', closedTo or ''} not what the executor went by: fold again | {'closing'}: again soon
--        | {'full', pane, group, …}: reject these groups' records | {'shape'} another job's panes
--        | {'late', group, first, last, …}: sessions that would be made closed; fold again without
register('commit', function(keys, args)
  local base = keys[1]
  local take = reader(args)
  local me, ops = take(), take()
  local shape = readShape(ops, take(), take())
  shape.closedTo = tonumber(take())
  local groupsMax, rejectsKept, verdictsKept = tonumber(take()), take(), take()
  local topic = take()
  local totals = { counted = tonumber(take()), filtered = tonumber(take()), late = tonumber(take()),
    rejected = tonumber(take()), partly = tonumber(take()), busyUs = tonumber(take()),
    appended = 0, waiting = 0, waitingBytes = 0, entriesCommitted = 0 }
  local hash = tonumber(take())
  totals.committed = totals.counted + totals.filtered + totals.late + totals.rejected
  local slices = readSlices(base, take)
  local panes = readDeltas(take, shape)
  local refused = obstacle(base, me, slices, panes, shape)
  local sessions
  if not refused and shape.gap then
    sessions, refused = mergeSessions(base, shape, panes, groupsMax)
  elseif not refused then
    refused = mergePanes(base, panes, groupsMax, shape.cells)
  end
  if refused then return refused end

  if sessions then writeSessionsOf(base, sessions) else writePanes(base, panes) end
  if shape.revised then markChanged(base, shape, panes) end
  writeSlices(base, me, slices, totals)
  for _ = 1, tonumber(take()) do
    local partition, offset, reason = take(), take(), take()
    redis.call('XADD', key(base, 'rejects'), 'MAXLEN', '~', rejectsKept, '*',
      'topic', topicName(base, partition) or topic,
      'p', partition, 'o', offset, 'reason', reason, 'message', take(), 'value', take())
    local name = 'reason:' .. reason
    totals[name] = (totals[name] or 0) + 1
  end
  for _ = 1, tonumber(take()) do
    redis.call('XADD', key(base, 'verdicts'), 'MAXLEN', '~', verdictsKept, '*',
      'p', take(), 'reason', take(), 'closedTo', take(), 'offsets', take())
  end
  addTotals(base, totals, hash)
  return { 'ok' }
end, { 'allow-oom' })
