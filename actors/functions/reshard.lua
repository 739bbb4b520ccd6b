-- Changing the number of a job's shards (reshard/). What the new shards are to hold is put together beside
-- what the old ones hold, under `next:<id>:`, the id of one attempt; then each takes its own in one call.
-- `change` is that shard's place in it: id, and state.
--
--   (none) ──► staged ──► taken      a shard that stays or comes
--                    └──► over       one that goes
--
-- Each step names the attempt, so that somebody who was held up, and whose attempt others have finished
-- meanwhile, changes nothing.

local function staged(base, id, name)
  return key(base, 'next:' .. id .. ':' .. name)
end

local function stateOf(base, id)
  local held = redis.call('HMGET', key(base, 'change'), 'id', 'state')
  return held[1] == id and held[2] or nil
end

-- renumber: the number of shards, as text, where it is what it is taken to be and the caller leads. What
-- comes of a change ends it, in the first shard.
-- args: who leads, the text that is there ('' for none), the text from now on
-- reply: 1, 0 where another leads or it is another text
register('renumber', function(keys, args)
  local base = keys[1]
  if redis.call('GET', key(base, 'leader')) ~= args[1] then return 0 end
  if (redis.call('GET', key(base, 'shards')) or '') ~= args[2] then return 0 end
  redis.call('SET', key(base, 'shards'), args[3])
  redis.call('UNLINK', key(base, 'change'))
  return 1
end, { 'allow-oom' })

-- decide: from here on the change can't be given up. Asked of the first shard, by who leads.
-- args: who leads, id   reply: 1, 0 where another leads or it is another attempt
register('decide', function(keys, args)
  local base = keys[1]
  if redis.call('GET', key(base, 'leader')) ~= args[1] or not stateOf(base, args[2]) then return 0 end
  redis.call('HSET', key(base, 'change'), 'decided', '1')
  return 1
end, { 'allow-oom' })

-- stage: entries of a stream beside that which is there.
-- args: id, stream, then for each entry its id, how many fields and values it has, and these
register('stage', function(keys, args)
  local name, at = staged(keys[1], args[1], args[2]), 3
  while at <= #args do
    local count = tonumber(args[at + 1])
    redis.call('XADD', name, args[at], unpack(args, at + 2, at + 1 + count))
    at = at + 2 + count
  end
  return 1
end)

-- take: what was put together takes the place of what there is. What has no successor is empty; of a shard
-- that goes nothing is taken.
-- args: id, taken or over, names of keys   reply: 1, 0 where it is done or is another attempt
register('take', function(keys, args)
  local base = keys[1]
  if stateOf(base, args[1]) ~= 'staged' then return 0 end
  for i = 3, #args do
    local from = staged(base, args[1], args[i])
    -- First, as RENAME would free a large one while everybody waits.
    redis.call('UNLINK', key(base, args[i]))
    if redis.call('EXISTS', from) == 1 then redis.call('RENAME', from, key(base, args[i])) end
  end
  redis.call('HSET', key(base, 'change'), 'state', args[2])
  return 1
end, { 'allow-oom' })

-- Some groups of another shard's pane added to this one's, and gone there; says how many, and what is left
-- of the budget. Nothing where they are of another shape.
local function absorbSome(from, into, cells, names, states, budget)
  local places, before, added, fields = {}, {}, {}, {}
  for i, held in ipairs(redis.call('HMGET', into, unpack(names))) do
    fields[2 * i - 1], fields[2 * i] = names[i], states[i]
    if not fits(cells, states[i]) or held and not fits(cells, held) then return nil end
    budget = budget - cells.cost - (#states[i] - cells.width) / SKETCH_BYTES
    if held then
      places[#places + 1], before[#before + 1], added[#added + 1] = 2 * i, held, states[i]
    end
  end
  for i, state in ipairs(mergeAll(cells, before, added)) do fields[places[i]] = state end
  redis.call('HSET', into, unpack(fields))
  redis.call('HDEL', from, unpack(names))
  return budget
end

-- absorb: adds a pane of a shard that goes to the same of this one, a bounded step at a time: a group is
-- gone there in the call that adds it here. It may get more groups than a commit would let it have.
-- args: id, ops, which pane (shard:start), its start, cursor, groups at the most
-- reply: next cursor; '' where there is nothing more; nothing in a pane of another shape
register('absorb', function(keys, args)
  local base, id, which, start = keys[1], args[1], args[3], args[4]
  local list = staged(base, id, 'panes')
  local version = redis.call('HGET', list, which)
  if not stateOf(base, id) or not version then return '' end
  local from, into = staged(base, id, 'pane:' .. which), key(base, 'pane:' .. start)
  local cells, cursor, budget = shapeOf(args[2]), args[5], tonumber(args[6])
  if redis.call('EXISTS', from) == 1 and redis.call('EXISTS', into) == 0 then
    redis.call('RENAME', from, into)
  end
  local page = redis.call('HSCAN', from, cursor, 'COUNT', '200')
  local found, together, passed = page[2], cells.sketches == '' and cells.together or 1, true
  for first = 1, #found, 2 * together do
    passed = budget > 0
    if not passed then break end
    local names, states = {}, {}
    for at = first, math.min(first + 2 * together - 2, #found - 1), 2 do
      names[#names + 1], states[#states + 1] = found[at], found[at + 1]
    end
    budget = absorbSome(from, into, cells, names, states, budget)
    if not budget then return nil end
  end
  if redis.call('EXISTS', from) == 1 then return passed and page[1] or cursor end
  redis.call('HINCRBY', key(base, 'panes'), start, version)
  redis.call('HDEL', list, which)
  return ''
end, { 'allow-oom' })

-- clear: removes keys of a shard that goes. args: id, names   reply: how many
register('clear', function(keys, args)
  local base = keys[1]
  if stateOf(base, args[1]) ~= 'over' then return 0 end
  local removed = 0
  for i = 2, #args do removed = removed + redis.call('UNLINK', key(base, args[i])) end
  return removed
end, { 'allow-oom' })
