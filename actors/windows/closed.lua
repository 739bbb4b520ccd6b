-- The stream of what is closed, and how much of it is kept.

-- Takes from the closed stream what is beyond its history and every sink of the job has taken. What one
-- has not taken stays, up to the bound at XADD. Streams are cut by nodes of up to 100 entries.
local function trimTaken(base, shape)
  if #shape.sinks == 0 then return end
  local excess = redis.call('XLEN', key(base, 'closed')) - shape.closedKept
  if excess < 100 then return end
  local slowest, first, second
  for _, position in ipairs(redis.call('HMGET', key(base, 'taken'), unpack(shape.sinks))) do
    local high, low = string.match(position or '', '^(%d+)-(%d+)')
    if not high then return end
    high, low = tonumber(high), tonumber(low)
    if not slowest or high < first or (high == first and low < second) then
      slowest, first, second = int(high) .. '-' .. int(low), high, low
    end
  end
  redis.call('XTRIM', key(base, 'closed'), 'MINID', '~', slowest, 'LIMIT', math.min(excess, 500))
end

-- Entries that may be kept, of `most`, where they are as large as the last ones were: with sketches in
-- them they are a hundred times the size of others, and memory is what the bound is for.
local ENTRIES_LEAST = 100
local function entriesKept(mean, bytes, most)
  return math.min(most, math.max(ENTRIES_LEAST, math.floor(bytes / math.max(1, mean))))
end

-- What open windows are goes to a stream of its own, of which little is kept: the next is what counts.
local UPDATES_SHARE = 8
local function emitUpdate(base, shape, start, rows, last, number, part, more)
  local mean = tonumber(redis.call('HGET', key(base, 'clock'), 'closedMean') or '0')
  local most = entriesKept(math.max(mean, #rows), shape.closedBytes / UPDATES_SHARE, shape.closedKept)
  redis.call('XADD', key(base, 'updates'), 'MAXLEN', '~', int(most), '*',
    'start', int(start), 'end', int(shape.closing), 'rows', rows, 'last', last and '1' or '0', 'n', number,
    'part', int(part), unpack(more))
end

-- How much is kept of the stream of what is closed, and the job's sinks, by which it is trimmed.
local function readKept(shape, entries, bytes, held, sinks)
  shape.closedKept, shape.closedBytes, shape.sinks = tonumber(entries), tonumber(bytes), sinks
  shape.closedMost = #sinks > 0 and tonumber(held) or shape.closedKept
end

-- The name of an entry of a window's part is the window's end and the entry's number: it lies in its place
-- whatever the clock says, and again there where a shard comes back older and closes the window once more. An
-- event time can be so far before the epoch; one that is as far behind it goes by even numbers.
local PART_ORIGIN = 8640000000000001
local function partName(ending)
  return int(ending + PART_ORIGIN)
end

-- The same of a shard's part of a window, which stays until it is joined with the others'.
local function emitPart(base, shape, start, rows, last, part)
  redis.call('XADD', key(base, 'partial'), partName(shape.closing) .. '-' .. int(part), 'start', int(start), 'end', int(shape.closing),
    'rows', rows, 'last', last and '1' or '0', 'part', int(part))
end

-- Adds rows of what is closed to `shape.closing` to the closed stream. `start`: of the window; of sessions
-- to where was closed before. `number`: of the window; `part`: of its entries; `more`: fields of a telling.
local function emit(base, shape, start, rows, last, number, part, more)
  if shape.isShard then return emitPart(base, shape, start, rows, last, part) end
  local clock = key(base, shape.clock or 'clock')
  local mean = tonumber(redis.call('HGET', clock, 'closedMean') or #rows)
  mean = mean + (#rows - mean) / 32
  local share = shape.closedMost / shape.closedKept
  local most = entriesKept(mean, share * shape.closedBytes, shape.closedMost)
  shape.closedKept = entriesKept(mean, shape.closedBytes, shape.closedKept)
  redis.call('HSET', clock, 'closedMean', int(mean))
  redis.call('XADD', key(base, 'closed'), 'MAXLEN', '~', int(most), '*',
    'start', int(start), 'end', int(shape.closing),
    'rows', rows, 'last', last and '1' or '0', 'n', number, 'part', int(part), unpack(more or {}))
  trimTaken(base, shape)
end
