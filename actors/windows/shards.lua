-- The clockwork of event time of a job of several shards (supervisor/joining.ts). Each shard closes its part
-- of a window into `partial`; when all have, the parts are joined in the first shard's `closed`, whose clock
-- is `joined`.
--
--   standing of each ──► what all allow ──► `raise` in each: its watermark, as far as its own partitions
--   allow it ──► the least of them: what each closes to ──► partial ──► join

-- Windows that end by then are closed with all of their rows; closedTo is the one that is being closed.
local function wholeTo(base, slide)
  local held = redis.call('HMGET', key(base, 'clock'), 'closedTo', 'closing')
  return held[2] and tonumber(held[2]) - slide or tonumber(held[1] or '')
end

-- standing: how a shard's partitions stand; one that has no ledger yet may get some that hold everybody.
-- args: idle after, window slide
-- reply: none, idle, running or unread; least and greatest event time, ms since the last record, holding
--        partition, its watermark, up to where its windows are closed whole; '' for what there is not
register('standing', function(keys, args)
  local ledger = map(redis.call('HGETALL', key(keys[1], 'ledger')))
  local standing = standingOf(ledger, tonumber(args[1]))
  local state = (standing.unread or not ledger.shape) and 'unread' or standing.running and 'running'
    or standing.greatest and 'idle' or 'none'
  local function text(value) return value and int(value) or '' end
  return { state, text(standing.least), text(standing.greatest), text(standing.since), standing.holder,
    redis.call('HGET', key(keys[1], 'clock'), 'watermark') or '', text(wholeTo(keys[1], tonumber(args[2]))) }
end, { 'no-writes' })

-- parts: a shard's parts of windows, in their order.
-- args: window slide; the window's end behind which to begin, or '' for the first; the last window's end, or ''
--       for all; the last entry that was read already, or ''; entries at the most
-- reply: up to where its windows are closed whole, or ''; entries. Both at one moment: a shard may come back
--        older between two calls, and what it has not closed any more is not there either.
register('parts', function(keys, args)
  local base, slide, behind, to, after = keys[1], tonumber(args[1]), tonumber(args[2]), tonumber(args[3]), args[4]
  local from = after ~= '' and '(' .. after or behind and partName(behind + slide) or '-'
  local whole = wholeTo(base, slide)
  return { whole and int(whole) or '',
    redis.call('XRANGE', key(base, 'partial'), from, to and partName(to) or '+', 'COUNT', args[5]) }
end, { 'no-writes' })

-- Parts that are joined stay for a while: the first shard may come back older than the others.
local function trimParts(base, passed)
  if not passed then return end
  redis.call('XTRIM', key(base, 'partial'), 'MINID', '~', partName(passed + 1), 'LIMIT', 500)
end

-- Notes up to where windows are joined, now and then, so that it is known what has been for long: `passed`.
local PARTS_KEPT_MS = 60000
local function notePassed(clock, closedTo)
  local held, time = redis.call('HMGET', clock, 'passing', 'passingAt'), now()
  if held[2] and math.abs(time - tonumber(held[2])) < PARTS_KEPT_MS then return end
  redis.call('HSET', clock, 'passed', held[1] or '', 'passing', closedTo, 'passingAt', int(time))
end

-- raise: moves a shard's watermark to what all shards allow, where its own partitions allow it too, then
-- closes what all shards are to close, a bounded step at a time.
-- args: ops, window size, slide, watermark delay, idle after, groups at the most, what all allow, what is
--       to be closed to, up to where parts need not be kept any more; '' for nothing
-- reply: its watermark or '', closedTo or '', 1 where there is more to do at once
register('raise', function(keys, args)
  local base = keys[1]
  local shape = readShape(args[1], args[2], args[3])
  shape.isShard = true
  local ledger = map(redis.call('HGETALL', key(base, 'ledger')))
  local standing, allowed = standingOf(ledger, tonumber(args[5])), tonumber(args[7])
  if standing.unread then allowed = nil end
  if allowed and standing.running then allowed = math.min(allowed, standing.least - tonumber(args[4])) end
  local watermark, limit = moveWatermark(base, allowed), tonumber(args[8])
  local closedTo = tonumber(redis.call('HGET', key(base, 'clock'), 'closedTo') or '')
  trimParts(base, tonumber(args[9]))
  local walking = follow(base, frontiersOf(ledger))
  local closing = watermark and limit and math.min(watermark, limit)
  local more
  closedTo, more = advanceWindows(base, shape, closing, closedTo, tonumber(args[6]))
  return { watermark and int(watermark) or '', closedTo and int(closedTo) or '',
    (walking or more) and 1 or 0 }
end, { 'allow-oom' })

-- join: adds rows of a window, of all shards, to what is closed. It is compared first where the joining
-- stands, as another may have gone on with it.
-- args: closedTo, window that is being joined, its last group ('' for none) as they are taken to be;
--       closed entries kept, their bytes, closed entries held for sinks that are behind, number of sinks,
--       their names; closedTo from now on; where a window is written its start, its rows, their last group,
--       1 for the last of them
-- reply: 1, 0 where it stands elsewhere
register('join', function(keys, args)
  local base, clock = keys[1], key(keys[1], 'joined')
  local take = reader(args)
  local held = redis.call('HMGET', clock, 'closedTo', 'closing', 'closingAfter')
  for i = 1, 3 do
    if (held[i] or '') ~= take() then return 0 end
  end
  local shape, entries, bytes, most = { clock = 'joined' }, take(), take(), take()
  local sinks = {}
  for i = 1, tonumber(take()) do sinks[i] = take() end
  readKept(shape, entries, bytes, most, sinks)
  local closedTo, start = take(), take()
  redis.call('HSET', clock, 'closedTo', closedTo)
  notePassed(clock, held[1] or '')
  if not start then return 1 end
  local rows, after, last = take(), take(), take() == '1'
  shape.closing = tonumber(closedTo)
  if not held[2] then redis.call('HINCRBY', clock, 'closedWindows', 1) end
  local state = redis.call('HMGET', clock, 'closedWindows', 'closingPart')
  local part = tonumber(state[2] or '0')
  emit(base, shape, tonumber(start), rows, last, state[1], part)
  if not last then
    redis.call('HSET', clock, 'closing', closedTo, 'closingAfter', after, 'closingPart', int(part + 1))
    return 1
  end
  redis.call('HDEL', clock, 'closing', 'closingAfter', 'closingPart')
  return 1
end, { 'allow-oom' })
