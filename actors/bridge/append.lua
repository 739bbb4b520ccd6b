-- Entries that were appended and not finished, and are not in the stream any more: somebody deleted or
-- trimmed it, and nobody will ever read them.
local function vanished(base)
  local held = redis.call('HMGET', key(base, 'totals'), 'entriesAppended', 'entriesCommitted')
  return tonumber(held[1] or '0') - tonumber(held[2] or '0') - redis.call('XLEN', key(base, 'entries'))
end

-- Kafka's end of a partition as the bridge has just seen it. A partition is quiet only while somebody
-- looks: when nobody did for a while, or the clock was set meanwhile, its quiet time begins anew. A
-- clock set 10 minutes ahead must not make every partition idle and the watermark leap.
local UNSEEN_MS = 10000
local function sighted(base, p, high)
  local ledger, time = key(base, 'ledger'), now()
  local before = tonumber(redis.call('HGET', ledger, p .. ':seenAt') or '')
  redis.call('HSET', ledger, p .. ':high', high, p .. ':seenAt', int(time))
  if before and (time < before or time - before > UNSEEN_MS) then
    redis.call('HSET', ledger, p .. ':dataAt', int(time))
  end
end

-- open: registers partitions, by their numbers.
-- args: id of the topic that is the first ('' where the broker knows none, or it is not read), shape of the job, then for each partition:
--       number, start offset if the ledger has none, high watermark ('' from who does not read it)
-- reply: {'ok', partition, next, …} | {'topic', the id that the ledger belongs to}
--        | {'shape', the shape that the panes have} | {'vanished', entries}
--        | {'topics'} the ledger does not have the topic of one of them
register('open', function(keys, args)
  local base = keys[1]
  local ledger = key(base, 'ledger')
  local topicId = redis.call('HGET', ledger, 'topicId')
  if topicId and topicId ~= '' and args[1] ~= '' and topicId ~= args[1] then
    return { 'topic', topicId }
  end
  local shape = redis.call('HGET', ledger, 'shape')
  if shape and shape ~= args[2] then
    return { 'shape', shape }
  end
  local gone = vanished(base)
  if gone > 0 then return { 'vanished', int(gone) } end
  for i = 3, #args, 3 do
    local isFirst = tonumber(args[i]) < STRIDE
    if not isFirst and not topicName(base, args[i]) then return { 'topics' } end
  end
  -- A broker that tells no id (any more) does not take back the one that is known.
  redis.call('HSET', ledger, 'topicId', args[1] ~= '' and args[1] or topicId or '', 'shape', args[2])
  redis.pcall('XGROUP', 'CREATE', key(base, 'entries'), GROUP, '0', 'MKSTREAM')
  local reply = { 'ok' }
  local time = int(now())
  for i = 3, #args, 3 do
    local p = args[i]
    local next = redis.call('HGET', ledger, p .. ':next')
    if not next then
      next = args[i + 1]
      redis.call('HSET', ledger, p .. ':start', next, p .. ':next', next, p .. ':frontier', next,
        p .. ':dataAt', time)
    end
    if args[i + 2] ~= '' then
      sighted(base, p, args[i + 2])
    elseif redis.call('HSETNX', ledger, p .. ':seenAt', '0') == 1 then
      -- Its end is not known: it holds the watermark until its reader has seen it.
      redis.call('HSET', ledger, p .. ':high', next)
    end
    reply[#reply + 1] = p
    reply[#reply + 1] = next
  end
  return reply
end, { 'allow-oom' })

-- How long whoever appended must wait before it appends again, by the job's quotas: by its pace, of which
-- a second may be used ahead, and by its memory, of which the leader says whether it is over
-- (supervisor/quotas.ts). The pace is by Redis's clock and shared by all bridges. A clock that was set back
-- makes nobody wait for longer than a minute. Of several shards each has its part of the job's pace (`pace`).
-- reply: ms, records a second; 0 for none
local BURST_US, WAIT_MAX_US = 1000000, 60000000
local function paced(base, records)
  local quota = key(base, 'quota')
  local own = redis.call('HMGET', quota, 'pace', 'memoryHeld', 'due')
  local rate = tonumber(own[1] or redis.call('HGET', key(base, 'control'), 'quotaRecordsPerSecond') or '') or 0
  local held = own[2] == '1'
  if rate <= 0 then return held and 1000 or 0, 0 end
  local time = now() * 1000
  local due = math.min(math.max(tonumber(own[3] or '0'), time), time + WAIT_MAX_US)
    + math.floor(records * 1000000 / rate)
  redis.call('HSET', quota, 'due', int(due))
  local wait = math.ceil(math.max(0, due - time - BURST_US) / 1000)
  if wait > 0 then redis.call('HSET', quota, 'heldAt', int(time / 1000)) end
  -- A part may be less than one.
  return held and math.max(wait, 1000) or wait, math.ceil(rate)
end

-- What a call brings to each of its partitions, with the topic's name where the ledger has it.
-- reply: the parts | nil, the refusal of the whole call
local function readParts(base, args)
  local parts, fields, at = {}, {}, 1
  while at <= #args do
    local part = { p = args[at], expected = args[at + 1], next = args[at + 2], high = args[at + 3], entries = {} }
    for i = 1, tonumber(args[at + 4]) do
      local first = at + 5 + (i - 1) * 4
      part.entries[i] = { from = args[first], to = args[first + 1], records = args[first + 2], payload = args[first + 3] }
    end
    at = at + 5 + #part.entries * 4
    parts[#parts + 1] = part
    fields[#fields + 1] = part.p .. ':next'
    fields[#fields + 1] = topicField(part.p)
  end
  local held = redis.call('HMGET', key(base, 'ledger'), unpack(fields))
  for i, part in ipairs(parts) do
    local current, topic = held[2 * i - 1], held[2 * i]
    if current ~= part.expected then return nil, { 0, current or '', part.p } end
    part.topic = nameIn(topic)
    for _, entry in ipairs(part.entries) do
      if entry.payload == '' then
        entry.aside = payloadKey(base, part.p, entry.from, entry.to)
        if redis.call('EXISTS', entry.aside) == 0 then return nil, { 2, entry.aside } end
      end
    end
  end
  return parts
end

-- reply: the payload's length
local function addEntry(stream, part, entry)
  local size = #entry.payload
  if entry.aside then
    redis.call('PERSIST', entry.aside)
    size = redis.call('STRLEN', entry.aside)
  end
  local fields = { 'p', part.p, 'from', entry.from, 'to', entry.to, 'n', entry.records, 'b', size,
    'd', entry.payload }
  if part.topic then
    fields[#fields + 1] = 't'
    fields[#fields + 1] = part.topic
  end
  redis.call('XADD', stream, '*', unpack(fields))
  return size
end

-- append: entries of some partitions in and the ledger forward, if it still says what is `expected` of each
-- of them; else nothing.
-- args: for each partition: its number, expected, next, high watermark, number of entries, then for each of
--       these: from, to, records, payload, '' for one that was set under its key before. Lua hashes every
--       byte of what it is given, so large payloads stay outside; from here on they no longer expire.
--       Without entries only the ledger moves, over offsets that hold no record for us.
-- reply: {1, records waiting, bytes waiting, busy µs, records committed, and where a quota holds or paces
--        the job: ms to wait before the next, records a second}
--        | {0, what the ledger says, the first partition of which it says something else}
--        | {2, key} a payload that was to be there is not
-- Not allow-oom: when memory is out, only what frees memory may go on.
register('append', function(keys, args)
  local base = keys[1]
  local totals, stream = key(base, 'totals'), key(base, 'entries')
  local parts, refusal = readParts(base, args)
  if not parts then return refusal end
  local time = int(now())
  local records, bytes, entries, moves, empty = 0, 0, 0, {}, {}
  for _, part in ipairs(parts) do
    local p = part.p
    for _, entry in ipairs(part.entries) do
      bytes = bytes + addEntry(stream, part, entry)
      records = records + tonumber(entry.records)
      entries = entries + 1
    end
    local fields = { p .. ':next', part.next, p .. ':high', part.high, p .. ':seenAt', time }
    -- A partition that only moves brings no data.
    if #part.entries > 0 then fields[7], fields[8] = p .. ':dataAt', time else empty[#empty + 1] = p end
    for _, field in ipairs(fields) do moves[#moves + 1] = field end
  end
  redis.call('HSET', key(base, 'ledger'), unpack(moves))
  if #empty > 0 then
    local prefixes = prefixesOf(base, empty)
    for _, part in ipairs(parts) do
      if #part.entries == 0 then finish(prefixes, part.p, part.expected, part.next, '') end
    end
    putPrefixes(prefixes)
  end
  local held = redis.call('HMGET', totals, 'appended', 'entriesAppended', 'waiting', 'waitingBytes', 'busyUs',
    'committed')
  for i, value in ipairs(held) do held[i] = tonumber(value or '0') end
  local waiting, waitingBytes = held[3] + records, held[4] + bytes
  redis.call('HSET', totals, 'appended', int(held[1] + records), 'entriesAppended', int(held[2] + entries),
    'waiting', int(waiting), 'waitingBytes', int(waitingBytes))
  if waiting == records and records > 0 then
    -- The first to wait: whoever leads may have no executor running.
    redis.call('XADD', key(base, 'mailbox:supervisor'), 'MAXLEN', '16', '*', 'm', '{"kind":"arrived"}')
  end
  local reply = { 1, waiting, waitingBytes, held[5], held[6] }
  local wait, rate = paced(base, records)
  if wait > 0 or rate > 0 then
    reply[6], reply[7] = wait, rate
  end
  return reply
end, {})

-- lose: the ledger forward over records that Kafka deleted before they were read, as the operator allowed
-- it. They are counted, and noted one range each, so that a recomputation knows of them.
-- args: partition, expected, next, high watermark, losses kept
-- reply: {1} | {0, what the ledger says}
register('lose', function(keys, args)
  local base = keys[1]
  local ledger = key(base, 'ledger')
  local p, expected, next = args[1], args[2], args[3]
  local current = redis.call('HGET', ledger, p .. ':next')
  if current ~= expected then
    return { 0, current or '' }
  end
  redis.call('HSET', ledger, p .. ':next', next, p .. ':high', args[4], p .. ':seenAt', int(now()))
  local prefixes = prefixesOf(base, { p })
  finish(prefixes, p, expected, next, '')
  putPrefixes(prefixes)
  redis.call('HINCRBY', key(base, 'totals'), 'lost', int(tonumber(next) - tonumber(expected)))
  redis.call('XADD', key(base, 'losses'), 'MAXLEN', '~', args[5], '*', 'p', p, 'from', expected, 'to', next)
  return { 1 }
end, { 'allow-oom' })

-- seen: Kafka's high watermarks, when nothing was there to append.
-- args: partition, high watermark, …   reply: partition, finished frontier, the bridge's next offset, …
--        | {'vanished', entries}
register('seen', function(keys, args)
  local ledger = key(keys[1], 'ledger')
  local frontiers = {}
  for i = 1, #args, 2 do
    local p = args[i]
    frontiers[p] = redis.call('HGET', ledger, p .. ':frontier')
    -- A ledger that is gone must not seem to be there again because somebody looked at it.
    if frontiers[p] then sighted(keys[1], p, args[i + 1]) end
  end
  follow(keys[1], frontiers)
  local gone = vanished(keys[1])
  if gone > 0 then return { 'vanished', int(gone) } end
  local reply = {}
  for i = 1, #args, 2 do
    reply[#reply + 1] = args[i]
    reply[#reply + 1] = redis.call('HGET', ledger, args[i] .. ':frontier')
    reply[#reply + 1] = redis.call('HGET', ledger, args[i] .. ':next')
  end
  return reply
end, { 'allow-oom' })
