-- A group's state, and how two of them merge: slots (actors/windows/aggregates.ts), then sketches
-- (actors/windows/sketches.ts), each behind its length. `ops` of a job: the slots' letters and, where it
-- has sketches, a slash and theirs, such as `nhl/RS`.

local LIMB = 4503599627370496 -- 2^52
-- Groups that are taken together, with all of their slots on Lua's stack, which has room for 8,000 values.
local GROUPS_TOGETHER = 250
local VALUES_MAX = 6000

local function shapeOf(ops)
  local slots, sketches = string.match(ops, '^(%a*)/?(%a*)$')
  -- Of a group, in such as are merged by themselves; as in actors/executor/plan.ts.
  local cost = 0.3 + #slots / 30
  return { slots = slots, sketches = sketches, width = 8 * #slots,
    cost = sketches == '' and cost or math.max(1, cost),
    together = math.min(GROUPS_TOGETHER, math.max(1, math.floor(VALUES_MAX / #slots))) }
end

-- What windows a job has: of sessions the gap, and as size the span that each lies in. A job whose windows
-- are told more than once (revisions.lua) says for how long a closed one may change, and how often it
-- wants to hear of open ones: `slide+lateness/updates`, in ms, 0 for none. `bound` names what a record is
-- late by: what is closed, or where closed windows may change, what is final.
local function readShape(ops, size, slide)
  local own, lateness, updates = string.match(slide, '^(%d+)%+(%d+)/(%d+)$')
  local shape = { cells = shapeOf(ops), size = tonumber(size), slide = tonumber(own or slide),
    gap = tonumber(string.match(slide, '^s(%d+)$') or ''),
    lateness = tonumber(lateness or '0'), updates = tonumber(updates or '0') }
  shape.revised = shape.lateness > 0 or shape.updates > 0
  shape.bound = shape.lateness > 0 and 'finalTo' or 'closedTo'
  return shape
end

-- Whether bytes are a group's state of this shape: another job's must not be merged into it.
local function fits(shape, bytes)
  if shape.sketches == '' then return #bytes == shape.width end
  local at = shape.width + 1
  for i = 1, #shape.sketches do
    if at + 4 > #bytes or string.byte(bytes, at + 4) ~= string.byte(shape.sketches, i) then
      return false
    end
    local length = struct.unpack('<I4', bytes, at)
    at = at + 4 + length
  end
  return at == #bytes + 1
end

-- Adds to the slots of many groups, one behind the other, those of as many others; what the letters mean
-- stands in aggregates.ts.
local function addSlots(slots, into, from, total)
  local width = #slots
  local slot = 1
  while slot <= width do
    local op = string.byte(slots, slot)
    if op == 110 then -- n
      for at = slot, total, width do into[at] = into[at] + from[at] end
    elseif op == 104 then -- h, and the l behind it
      for at = slot, total, width do
        local high, low = into[at] + from[at], into[at + 1] + from[at + 1]
        if low >= LIMB then
          low = low - LIMB
          high = high + 1
        end
        into[at] = high
        into[at + 1] = low
      end
      slot = slot + 1
    elseif op == 109 then -- m
      for at = slot, total, width do
        if from[at] < into[at] then into[at] = from[at] end
      end
    elseif op == 77 then -- M
      for at = slot, total, width do
        if from[at] > into[at] then into[at] = from[at] end
      end
    end
    slot = slot + 1
  end
end

-- The slots of a and b, of one group or of many, added.
local function mergeSlots(shape, count, a, b)
  local format, total = '<' .. string.rep('d', count * #shape.slots), count * #shape.slots
  local into = { struct.unpack(format, a) }
  addSlots(shape.slots, into, { struct.unpack(format, b) }, total)
  return struct.pack(format, unpack(into, 1, total))
end

-- Position of the first entry from `at` on whose number is not less than `least`; behind the list for
-- none. Leaps first, so that it costs little where the lists are alike and where they are not.
local function seek(list, at, size, least)
  local byte = string.byte
  local b1, b2 = byte(list, at, at + 1)
  if not b1 or b1 * 256 + b2 >= least then return at end
  local low, leap = at, size
  local high = at + size
  b1, b2 = byte(list, high, high + 1)
  while b1 and b1 * 256 + b2 < least do
    low, leap = high, leap * 2
    high = low + leap
    b1, b2 = byte(list, high, high + 1)
  end
  if not b1 then high = #list + 1 end
  while high - low > size do
    local middle = low + math.floor((high - low) / size / 2) * size
    b1, b2 = byte(list, middle, middle + 1)
    if b1 * 256 + b2 < least then low = middle else high = middle end
  end
  return high
end

-- Merges the sorted entries of b into those of a, behind their letters. The first two bytes of an entry
-- are its number, of which `step` share a key. Costs what b has, not what a has, but for the copying.
-- `both` makes one entry of two with the same key; nil leaves a's.
local function mergeSorted(a, b, size, step, both)
  local byte, sub = string.byte, string.sub
  local parts, count, from, at, next, last = {}, 0, 1, 2, 2, #b
  while next <= last do
    local b1, b2 = byte(b, next, next + 1)
    local number = b1 * 256 + b2
    local least = number - number % step
    at = seek(a, at, size, least)
    b1, b2 = byte(a, at, at + 1)
    if not b1 then break end
    local held = b1 * 256 + b2
    if held < least + step then
      local entry = both(a, at, held, b, next, number)
      if entry then
        parts[count + 1], parts[count + 2] = sub(a, from, at - 1), entry
        from = at + size
        count = count + 2
      end
      at = at + size
    else
      parts[count + 1], parts[count + 2] = sub(a, from, at - 1), sub(b, next, next + size - 1)
      from = at
      count = count + 2
    end
    next = next + size
  end
  if from == 1 and next > last then return a end
  parts[count + 1], parts[count + 2] = sub(a, from), sub(b, next)
  return table.concat(parts)
end

-- R: of a register's two ranks the greater.
local function greaterRank(_, _, held, b, next, number)
  if number > held then return string.sub(b, next, next + 1) end
end

-- S: a bucket's two counts added.
local function addedCounts(a, at, _, b, next)
  local x, y = struct.unpack('<d', a, at + 2), struct.unpack('<d', b, next + 2)
  return string.sub(a, at, at + 1) .. struct.pack('<d', x + y)
end

-- F, L: the one whose place (time, partition, offset, row) comes first, or last.
local function mergeEnds(a, b, first)
  if #b == 1 then return a end
  if #a == 1 then return b end
  for at = 2, 26, 8 do
    local x, y = struct.unpack('<d', a, at), struct.unpack('<d', b, at)
    if x ~= y then return (x < y) == first and a or b end
  end
  return a
end

-- Adds the counters of a T to those in the list, which has each name once.
local function addCounters(bytes, names, counts)
  local at = 18
  while at <= #bytes do
    local length = struct.unpack('<I4', bytes, at)
    local name = string.sub(bytes, at + 4, at + 3 + length)
    local count = struct.unpack('<d', bytes, at + 4 + length)
    if not counts[name] then names[#names + 1] = name end
    counts[name] = (counts[name] or 0) + count
    at = at + 12 + length
  end
end

-- T: counters added; where there are too many, the greatest that is one too many is taken from each.
local function mergeCounters(a, b)
  local capacity, taken = struct.unpack('<d', a, 2), 0
  local x, y = struct.unpack('<d', a, 10), struct.unpack('<d', b, 10)
  local names, counts = {}, {}
  addCounters(a, names, counts)
  addCounters(b, names, counts)
  if #names > capacity then
    local sorted = {}
    for i, name in ipairs(names) do sorted[i] = counts[name] end
    table.sort(sorted)
    taken = sorted[#sorted - capacity]
  end
  local parts = { 'T', struct.pack('<dd', capacity, x + y + taken) }
  for _, name in ipairs(names) do
    local count = counts[name] - taken
    if count > 0 then
      parts[#parts + 1] = struct.pack('<I4', #name) .. name .. struct.pack('<d', count)
    end
  end
  return table.concat(parts)
end

local function mergeSketch(letter, a, b)
  if letter == 82 then return mergeSorted(a, b, 2, 32, greaterRank) end -- R
  if letter == 83 then return mergeSorted(a, b, 10, 1, addedCounts) end -- S
  if letter == 84 then return mergeCounters(a, b) end -- T
  return mergeEnds(a, b, letter == 70) -- F, L
end

-- The state of the records of both.
local function merge(shape, a, b)
  local slots = mergeSlots(shape, 1, a, b)
  if shape.sketches == '' then return slots end
  local parts, inA, inB = { slots }, shape.width + 1, shape.width + 1
  for i = 1, #shape.sketches do
    local x, y = struct.unpack('<I4', a, inA), struct.unpack('<I4', b, inB)
    local merged = mergeSketch(string.byte(shape.sketches, i),
      string.sub(a, inA + 4, inA + 3 + x), string.sub(b, inB + 4, inB + 3 + y))
    parts[#parts + 1] = struct.pack('<I4', #merged)
    parts[#parts + 1] = merged
    inA, inB = inA + 4 + x, inB + 4 + y
  end
  return table.concat(parts)
end

-- So many strings, each behind its u32 length.
local function strings(bytes, count)
  local list, at = {}, 1
  for first = 1, count, 1000 do
    local some = math.min(1000, count - first + 1)
    local found = { struct.unpack('<' .. string.rep('I4c0', some), bytes, at) }
    for i = 1, some do list[first + i - 1] = found[i] end
    at = found[some + 1]
  end
  return list
end

-- The states of so many groups, which lie one behind the other; where there are sketches among them,
-- each behind its u32 length.
local function statesOf(shape, bytes, count)
  if shape.sketches ~= '' then return strings(bytes, count) end
  local states, width = {}, shape.width
  for i = 1, count do states[i] = string.sub(bytes, (i - 1) * width + 1, i * width) end
  return states
end

-- The states of two lists merged, one with one; `shape.together` at the most. Slots alone are merged all
-- at once, which costs less than half of one by one.
local function mergeAll(shape, a, b)
  if #a == 0 then return a end
  if shape.sketches == '' then
    return statesOf(shape, mergeSlots(shape, #a, table.concat(a), table.concat(b)), #a)
  end
  local merged = {}
  for i = 1, #a do merged[i] = merge(shape, a[i], b[i]) end
  return merged
end
