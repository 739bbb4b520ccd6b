-- What an actor says of itself; '' in the shards where it only has a lease.
local function note(base, id, account)
  if account ~= '' then redis.call('HSET', key(base, 'actors'), id, account) end
end

-- beat: an actor lives. args: id, its account of itself, lease in ms   reply: Redis's clock
register('beat', function(keys, args)
  local base = keys[1]
  note(base, args[1], args[2])
  local time = now()
  redis.call('ZADD', key(base, 'leases'), int(time + tonumber(args[3])), args[1])
  return int(time)
end, { 'allow-oom' })

-- enter: makes the groups that an executor reads by, where they are missing. It has to be a
-- function: when memory is out, XGROUP CREATE by itself is refused, and executors free memory.
-- args: id
register('enter', function(keys, args)
  for _, name in ipairs({ 'entries', 'mailbox:' .. args[1] }) do
    local made = redis.pcall('XGROUP', 'CREATE', key(keys[1], name), GROUP, '0', 'MKSTREAM')
    if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
  end
  return 1
end, { 'allow-oom' })

-- Notes what an executor has in hand, if that is still its own: who comes late with it, when others have
-- its entries already, would leave it lying for ever.
local function hold(base, id, entry, offsets)
  local own = entry and ofGroup({ 'XPENDING', key(base, 'entries'), GROUP, entry, entry, 1, id }) or {}
  if #own == 0 then return redis.call('HDEL', key(base, 'hand'), id) end
  return redis.call('HSET', key(base, 'hand'), id, entry .. '|' .. offsets)
end

-- mark: the record that an executor has in hand. A function, so that it works when memory is out.
-- args: id, entry, offset or offsets separated by commas
register('mark', function(keys, args)
  return hold(keys[1], args[1], args[2], args[3])
end, { 'allow-oom' })

-- leave: an actor ends in order; entries that it still holds go to others without suspicion.
-- args: id, its last account of itself
register('leave', function(keys, args)
  local base, id = keys[1], args[1]
  local entries = key(base, 'entries')
  note(base, id, args[2])
  redis.call('ZREM', key(base, 'leases'), id)
  redis.call('DEL', key(base, 'mailbox:' .. id))
  redis.call('HDEL', key(base, 'hand'), id)
  if redis.call('EXISTS', entries) == 0 then return 1 end
  -- Who never read, such as a page, need not be allowed to touch those who do.
  for _, flat in ipairs(ofGroup({ 'XINFO', 'CONSUMERS', entries, GROUP })) do
    local consumer = map(flat)
    if consumer.name == id and consumer.pending == 0 then
      redis.pcall('XGROUP', 'DELCONSUMER', entries, GROUP, id)
    elseif consumer.name == id then
      redis.call('SADD', key(base, 'left'), id)
    end
  end
  return 1
end, { 'allow-oom' })

-- bury: somebody saw an actor's process end; its entries are free at once.
-- args: id, account; where it is known also what it had in hand, as `mark` writes it, '' for nothing
register('bury', function(keys, args)
  local base = keys[1]
  if args[3] then
    local entry, offsets = string.match(args[3], '^([^|]+)|([%d,]+)$')
    hold(base, args[1], entry, offsets)
  end
  note(base, args[1], args[2])
  redis.call('ZREM', key(base, 'leases'), args[1])
  redis.call('DEL', key(base, 'mailbox:' .. args[1]))
  return 1
end, { 'allow-oom' })

-- forget: an actor that ended long ago leaves the register; what it had counted is kept in `gone`,
-- so that sums over all that there ever were never go back. args: id, then field, amount, …
register('forget', function(keys, args)
  local base = keys[1]
  if redis.call('HDEL', key(base, 'actors'), args[1]) == 0 then return 0 end
  for i = 2, #args, 2 do
    redis.call('HINCRBY', key(base, 'gone'), args[i], args[i + 1])
  end
  return 1
end, { 'allow-oom' })

-- lead: takes or renews a lease. args: name of the lease, id, ms   reply: who holds it now
register('lead', function(keys, args)
  local lease = key(keys[1], args[1])
  local holder = redis.call('GET', lease)
  if not holder or holder == args[2] then
    redis.call('SET', lease, args[2], 'PX', args[3])
    return args[2]
  end
  -- Nobody takes it for longer: Redis's clock was set back, and a dead holder would keep it.
  if redis.call('PTTL', lease) > tonumber(args[3]) then redis.call('PEXPIRE', lease, args[3]) end
  return holder
end, { 'allow-oom' })

-- resign: gives a lease back, if it is still the caller's. args: name of the lease, id
register('resign', function(keys, args)
  local lease = key(keys[1], args[1])
  if redis.call('GET', lease) == args[2] then return redis.call('DEL', lease) end
  return 0
end, { 'allow-oom' })

-- measure: one snapshot of what the supervisor decides by and the status shows, as JSON.
register('measure', function(keys)
  local base = keys[1]
  local entries = key(base, 'entries')
  local result = { at = int(now()), entries = 0, pending = 0, orphaned = 0 }
  local hashes = { 'totals', 'ledger', 'clock', 'joined', 'control', 'version', 'quota', 'actors', 'hosts' }
  for _, name in ipairs(hashes) do
    result[name] = map(redis.call('HGETALL', key(base, name)))
    result[name][''] = '' -- cjson writes an empty table as an object only if it has a key
  end
  result.leases = map(redis.call('ZRANGE', key(base, 'leases'), 0, -1, 'WITHSCORES'))
  result.leases[''] = ''
  result.pendingOf = {}
  result.pendingOf[''] = ''
  result.leader = redis.call('GET', key(base, 'leader')) or ''
  if redis.call('EXISTS', entries) == 1 then
    result.entries = redis.call('XLEN', entries)
    for _, flat in ipairs(ofGroup({ 'XINFO', 'CONSUMERS', entries, GROUP })) do
      local consumer = map(flat)
      local lease = tonumber(result.leases[consumer.name] or '')
      result.pending = result.pending + consumer.pending
      result.pendingOf[consumer.name] = int(consumer.pending)
      if not lease or lease < tonumber(result.at) then
        result.orphaned = result.orphaned + consumer.pending
      end
    end
  end
  return cjson.encode(result)
end, { 'no-writes' })
