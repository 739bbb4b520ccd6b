-- What hosts may have of a job's executors (supervisor/places.ts). The hash `hosts`: `leader` and `room`, who
-- said so last and how many all hosts may have together; `want:<supervisor>`, how many one is to have;
-- `held:<supervisor>`, how many it has, or may be about to have.

local function living(base, id)
  local lease = redis.call('ZSCORE', key(base, 'leases'), id)
  return lease and tonumber(lease) > now()
end

-- Sets aside for a host what it has and may start, and says how many it may have. What others have set aside
-- is theirs while their supervisor lives: so there are never more than there is room for.
local function setAside(base, all, id, present)
  local others = 0
  for field, held in pairs(all) do
    local other = string.match(field, '^held:(.+)$')
    if other and other ~= id and living(base, other) then others = others + tonumber(held) end
  end
  local free = tonumber(all.room or '0') - others
  local may = math.max(0, math.min(tonumber(all['want:' .. id] or '0'), free))
  redis.call('HSET', key(base, 'hosts'), 'held:' .. id, int(math.max(present, may)))
  return may
end

-- place: the leader's word on how many executors each host is to have; those that it does not name are
-- forgotten. Wakes the others where it says something new.
-- args: leader, room for all of them, then for each host, the leader's first:
--       its supervisor, how many it is to have, how many it is seen to have
-- reply: how many the leader's own may have now; -1 where another leads by now
register('place', function(keys, args)
  local base = keys[1]
  local hosts = key(base, 'hosts')
  if redis.call('GET', key(base, 'leader')) ~= args[1] then return -1 end
  local before, all = map(redis.call('HGETALL', hosts)), { leader = args[1], room = args[2] }
  for i = 3, #args, 3 do all['want:' .. args[i]] = args[i + 1] end
  local changed = false
  for field, value in pairs(all) do changed = changed or before[field] ~= value end
  for i = 3, #args, 3 do
    local held = 'held:' .. args[i]
    all[held] = int(math.max(tonumber(args[i + 2]), tonumber(before[held] or '0')))
  end
  for field in pairs(before) do
    if not all[field] then redis.call('HDEL', hosts, field) end
  end
  for field, value in pairs(all) do redis.call('HSET', hosts, field, value) end
  if changed then
    redis.call('XADD', key(base, 'mailbox:supervisor'), 'MAXLEN', '16', '*', 'm', '{"kind":"wake"}')
  end
  return setAside(base, all, args[1], tonumber(args[5]))
end, { 'allow-oom' })

-- occupy: a host sets aside what the leader wants it to have. args: supervisor, executors that it has
-- reply: how many it may have now; -1 where no leader's word holds
register('occupy', function(keys, args)
  local base = keys[1]
  local all = map(redis.call('HGETALL', key(base, 'hosts')))
  if not all.leader or redis.call('GET', key(base, 'leader')) ~= all.leader then return -1 end
  return setAside(base, all, args[1], tonumber(args[2]))
end, { 'allow-oom' })
