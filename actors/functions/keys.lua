-- Shared by all functions: names of keys, numbers, time. Doubles carry integers up to 2^53 exactly;
-- they are always written with %.0f, because tostring drops digits past the fourteenth.

local HASH_MODULUS = 281474976710656 -- 2^48, see actors/executor/tally.ts
local GROUP = 'executors'

local function key(base, name)
  return base .. ':' .. name
end

-- Where the payload of a large entry lies.
local function payloadKey(base, partition, from, to)
  return base .. ':payload:' .. partition .. ':' .. from .. ':' .. to
end

local function int(value)
  return string.format('%.0f', value)
end

-- A partition goes by a number that tells its topic as well: see actors/topics.ts. The ledger has a
-- field for each topic: name|id|read, or left where the job reads it no more; none where it is of one.
local STRIDE = 65536

local function topicField(number)
  return 'topic:' .. int(math.floor(tonumber(number) / STRIDE))
end

-- The name in a topic's field; nil where there is none.
local function nameIn(text)
  return text and string.match(text, '^[^|]*') or nil
end

-- The name of a partition's topic; nil where the ledger does not name it.
local function topicName(base, number)
  return nameIn(redis.call('HGET', key(base, 'ledger'), topicField(number)))
end

local function isLeft(text)
  return text and string.match(text, '|left$') ~= nil
end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A flat reply of field, value, … as a table.
local function map(flat)
  local result = {}
  for i = 1, #flat, 2 do
    result[flat[i]] = flat[i + 1]
  end
  return result
end

-- Takes arguments one after the other.
local function reader(args)
  local position = 0
  return function()
    position = position + 1
    return args[position]
  end
end

local function register(name, callback, flags)
  redis.register_function({
    function_name = '@LIBRARY@_' .. name,
    callback = callback,
    flags = flags,
  })
end

-- How many entries one call may walk over that finished before those in front of them: a slow entry
-- can have tens of thousands behind it. `follow` goes on where a walk ended.
local STEPS_MAX = 1000

-- What XPENDING or XINFO CONSUMERS says of the entries' group, and nothing where the group is gone:
-- what it held is delivered again as soon as somebody has made it again.
local function ofGroup(command)
  local reply = redis.pcall(unpack(command))
  if reply.err and string.find(reply.err, 'NOGROUP', 1, true) then return {} end
  return reply.err and redis.call(unpack(command)) or reply
end

-- How far partitions are finished without a gap, and the highest event time in that: read at once here, moved by
-- `finish`, and written at once by `putPrefixes`. A call moves them over STEPS_MAX entries at the most.
local function prefixesOf(base, partitions)
  local prefixes = { ledger = key(base, 'ledger'), finished = key(base, 'finished'), list = {}, of = {},
    steps = STEPS_MAX }
  local fields = {}
  for _, p in ipairs(partitions) do
    if not prefixes.of[p] then
      prefixes.of[p] = { frontier = p .. ':frontier', max = p .. ':max' }
      prefixes.list[#prefixes.list + 1] = prefixes.of[p]
      fields[#fields + 1] = p .. ':frontier'
      fields[#fields + 1] = p .. ':max'
    end
  end
  if #fields == 0 then return prefixes end
  local held = redis.call('HMGET', prefixes.ledger, unpack(fields))
  for i, prefix in ipairs(prefixes.list) do
    prefix.to, prefix.highest = held[2 * i - 1], tonumber(held[2 * i] or '')
  end
  -- Whether any entry finished before one in front of it, which is hardly ever.
  prefixes.hasAhead = redis.call('EXISTS', prefixes.finished) == 1
  return prefixes
end

-- Marks [from, to) of a partition as finished and moves its prefix as far as the steps go. max: the highest
-- event time in it, '' where it has none.
local function finish(prefixes, partition, from, to, max)
  local prefix, finished = prefixes.of[partition], prefixes.finished
  if prefix.to ~= from then
    redis.call('HSET', finished, partition .. ':' .. from, to .. '|' .. max)
    prefixes.hasAhead = true
    return
  end
  local highest = tonumber(max)
  local following = prefixes.hasAhead and redis.call('HGET', finished, partition .. ':' .. to)
  while following and prefixes.steps > 0 do
    prefixes.steps = prefixes.steps - 1
    redis.call('HDEL', finished, partition .. ':' .. to)
    local separator = string.find(following, '|', 1, true)
    to = string.sub(following, 1, separator - 1)
    local other = tonumber(string.sub(following, separator + 1))
    if other and (not highest or other > highest) then
      highest = other
    end
    following = redis.call('HGET', finished, partition .. ':' .. to)
  end
  prefix.to, prefix.isMoved = to, true
  if highest and (not prefix.highest or highest > prefix.highest) then
    prefix.highest, prefix.isRaised = highest, true
  end
end

local function putPrefixes(prefixes)
  local fields = {}
  for _, prefix in ipairs(prefixes.list) do
    if prefix.isMoved then
      fields[#fields + 1] = prefix.frontier
      fields[#fields + 1] = prefix.to
    end
    if prefix.isRaised then
      fields[#fields + 1] = prefix.max
      fields[#fields + 1] = int(prefix.highest)
    end
  end
  if #fields > 0 then redis.call('HSET', prefixes.ledger, unpack(fields)) end
end

-- Goes on with walks that ended before the prefix did. What looks at the frontiers calls it, again and
-- again, so that they get to their end also when no commit comes any more. Says whether more is left.
local function follow(base, frontiers)
  local finished = key(base, 'finished')
  if redis.call('EXISTS', finished) == 0 then return false end
  local steps = STEPS_MAX
  for partition, frontier in pairs(frontiers) do
    -- Without a frontier (false) the ledger is gone, which is not ours to tell.
    local place = frontier and steps > 0 and partition .. ':' .. frontier
    local following = place and redis.call('HGET', finished, place)
    if following then
      local prefixes = prefixesOf(base, { partition })
      prefixes.steps = steps - 1
      redis.call('HDEL', finished, place)
      local to, max = string.match(following, '^(%d+)|(.*)$')
      finish(prefixes, partition, frontier, to, max)
      putPrefixes(prefixes)
      steps = prefixes.steps
    end
  end
  return steps <= 0
end
