-- The bridges that live: name → partitions that it reads. A lease that ends later than one can is of a
-- time before Redis's clock was set back.
local function bridgesOf(base, me, lease)
  local bridges, time = key(base, 'bridges'), now()
  local living = {}
  redis.call('ZADD', bridges, int(time + lease), me)
  local members = redis.call('ZRANGE', bridges, 0, -1, 'WITHSCORES')
  for i = 1, #members, 2 do
    local id, ends = members[i], tonumber(members[i + 1])
    if ends < time then
      redis.call('ZREM', bridges, id)
    else
      if ends > time + lease then redis.call('ZADD', bridges, int(time + lease), id) end
      living[id] = 0
    end
  end
  return living
end

-- The topics' partitions, as the ledger knows them: of each topic this shard's, which are so many apart;
-- where there is none yet only one may begin it, and '*' stands for all that it will find.
local function partitionsOf(base, shard, shards)
  local ledger, partitions = key(base, 'ledger'), {}
  local topic = 0
  local text = redis.call('HGET', ledger, topicField(topic))
  while topic == 0 or text do
    local number = topic + shard
    while not isLeft(text) and redis.call('HEXISTS', ledger, int(number) .. ':next') == 1 do
      partitions[#partitions + 1] = int(number)
      number = number + shards
    end
    topic = topic + STRIDE
    text = redis.call('HGET', ledger, topicField(topic))
  end
  return #partitions > 0 and partitions or { '*' }
end

-- Partition → the living bridge that reads it; counts them in `living`. Who has begun the ledger reads all
-- that it found; a ledger that is gone has to be begun again.
local function readersOf(base, living, partitions)
  local readers = key(base, 'readers')
  local held = map(redis.call('HGETALL', readers))
  local reader = {}
  for _, p in ipairs(partitions) do
    local id = held[p] or held['*']
    if id and living[id] then
      if not held[p] then redis.call('HSET', readers, p, id) end
      reader[p] = id
      living[id] = living[id] + 1
    end
  end
  for p in pairs(held) do
    if not reader[p] then redis.call('HDEL', readers, p) end
  end
  return reader
end

-- How many of `count` partitions a bridge should read: the same for all, and one more for as many as that
-- leaves over, who are those that read the most already, so that nothing moves without need.
local function quotaOf(me, living, count)
  local bridges, before = 0, 0
  for id, held in pairs(living) do
    bridges = bridges + 1
    local mine = living[me]
    if held > mine or held == mine and id < me then before = before + 1 end
  end
  return math.floor(count / bridges) + (before < count % bridges and 1 or 0), bridges
end

-- share: says that a bridge lives and which partitions it is to read. A partition has one reader, until that
-- says that it reads it no more, or until its lease has ended.
-- args: me, lease in ms, which shard this is, of how many, then what I read now: partitions, or '*' for all that there are
-- reply: what I am to read: partitions, or '*'; what is missing from what I read now is still mine until I
--        say that I have let go of it
register('share', function(keys, args)
  local base, me = keys[1], args[1]
  local readers = key(base, 'readers')
  local living = bridgesOf(base, me, tonumber(args[2]))
  local partitions = partitionsOf(base, tonumber(args[3]), tonumber(args[4]))
  local reads = {}
  for i = 5, #args do reads[args[i]] = true end

  local reader = readersOf(base, living, partitions)
  local quota, bridges = quotaOf(me, living, #partitions)
  local reply = {}
  for _, p in ipairs(partitions) do
    if not reader[p] and living[me] < quota then
      redis.call('HSET', readers, p, me)
      reader[p] = me
      living[me] = living[me] + 1
    end
    if reader[p] == me then
      if #reply < quota then
        reply[#reply + 1] = p
      elseif not (reads[p] or reads['*']) then
        redis.call('HDEL', readers, p)
      end
    end
  end
  -- Alone it reads whatever there is, also what nobody has entered into the ledger yet.
  return bridges == 1 and { '*' } or reply
end, { 'allow-oom' })

-- unshare: a bridge has ended; its partitions are others' at once. args: id
register('unshare', function(keys, args)
  local base, id = keys[1], args[1]
  local readers = key(base, 'readers')
  for p, reader in pairs(map(redis.call('HGETALL', readers))) do
    if reader == id then redis.call('HDEL', readers, p) end
  end
  return redis.call('ZREM', key(base, 'bridges'), id)
end, { 'allow-oom' })
