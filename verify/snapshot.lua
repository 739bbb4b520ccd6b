-- What a shard of the pipeline has done, at one instant. Reads only.
-- KEYS[1]: base of the shard's keys; KEYS[2]: of the same slot, see wholeKey
-- reply: JSON of the ledger, the totals, the clock, and of the first of several shards that of the joined windows; ranges
--        that are committed beyond the frontiers (partition, from, to); ranges that were given up unread; and for the
--        streams of closed windows (in the first shard) and of verdicts: number of entries, last id, entries ever added; open
--        panes; panes and ends of windows that are to be told once more
local base = KEYS[1]

local function map(name)
  local flat = redis.call('HGETALL', base .. ':' .. name)
  local result = { [''] = '' } -- cjson writes an empty table as an object only if it has a key
  for i = 1, #flat, 2 do
    result[flat[i]] = flat[i + 1]
  end
  return result
end

local function stream(name)
  local key = base .. ':' .. name
  if redis.call('EXISTS', key) == 0 then return { length = 0, last = '0-0', added = 0 } end
  local info = redis.call('XINFO', 'STREAM', key)
  local result = {}
  for i = 1, #info, 2 do
    if info[i] == 'length' then result.length = info[i + 1] end
    if info[i] == 'last-generated-id' then result.last = info[i + 1] end
    if info[i] == 'entries-added' then result.added = info[i + 1] end
  end
  return result
end

-- Entries that finished before those in front of them, and entries that are partly committed.
local function ahead()
  local ranges = {}
  for place, range in pairs(map('finished')) do
    local partition, from = string.match(place, '^(%d+):(%d+)$')
    if partition then
      ranges[#ranges + 1] = { partition, from, string.match(range, '^%d+') }
    end
  end
  for id, progress in pairs(map('progress')) do
    local entry = id ~= '' and redis.call('XRANGE', base .. ':entries', id, id)[1]
    if entry then
      local fields = {}
      for i = 1, #entry[2], 2 do
        fields[entry[2][i]] = entry[2][i + 1]
      end
      ranges[#ranges + 1] = { fields.p, fields.from, string.match(progress, '^%d+') }
    end
  end
  return ranges
end

-- Kafka had deleted them before they were read.
local function losses()
  local ranges = {}
  for _, entry in ipairs(redis.call('XRANGE', base .. ':losses', '-', '+')) do
    ranges[#ranges + 1] = { entry[2][2], entry[2][4], entry[2][6] }
  end
  return #ranges > 0 and ranges or nil
end

-- Nothing where there is nothing: cjson writes an empty table as an object.
local function listed(reply)
  return #reply > 0 and reply or nil
end

local time = redis.call('TIME')
local ranges = ahead()
return cjson.encode({
  at = time[1] .. string.sub('000000' .. time[2], -6, -4),
  ledger = map('ledger'),
  totals = map('totals'),
  clock = map('clock'),
  joined = map('joined'),
  ahead = #ranges > 0 and ranges or nil,
  losses = losses(),
  closed = stream('closed'),
  verdicts = stream('verdicts'),
  panes = listed(redis.call('HKEYS', base .. ':panes')),
  changed = listed(redis.call('SMEMBERS', base .. ':changed')),
  revise = listed(redis.call('ZRANGE', base .. ':revise', 0, -1)),
})
