-- reserve: how many executors a job may have of those that all jobs share. A reservation lasts for its
-- lease, by Redis's clock; what a job has reserved is its own until it says itself that it has fewer, so
-- that there are never more than may be.
-- args: job, executors it needs, its weight, executors it has, executors it asks for, all that there may
--       be, lease in ms
-- reply: {executors it may have, Redis's clock, all that there may be by the least that any job says,
--        then for each other job: name, need, weight}
register('reserve', function(keys, args)
  local pool = key(keys[1], 'pool')
  local job, present = args[1], tonumber(args[4])
  local total, lease = tonumber(args[6]), tonumber(args[7])
  local time = now()
  local others, reply = 0, {}
  for name, text in pairs(map(redis.call('HGETALL', pool))) do
    local need, weight, held, most, till = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    if not till or tonumber(till) <= time then
      redis.call('HDEL', pool, name)
    elseif name ~= job then
      -- A clock that was set back makes no reservation last longer than its lease.
      if tonumber(till) > time + lease then
        redis.call('HSET', pool, name, table.concat({ need, weight, held, most, int(time + lease) }, ' '))
      end
      others = others + tonumber(held)
      total = math.min(total, tonumber(most))
      reply[#reply + 1] = name
      reply[#reply + 1] = need
      reply[#reply + 1] = weight
    end
  end
  local granted = math.max(0, math.min(tonumber(args[5]), total - others))
  redis.call('HSET', pool, job, table.concat({ args[2], args[3], int(math.max(present, granted)), args[6],
    int(time + lease) }, ' '))
  return { granted, int(time), total, reply }
end, { 'allow-oom' })

-- release: a job has no executors any more and needs none. args: job
register('release', function(keys, args)
  return redis.call('HDEL', key(keys[1], 'pool'), args[1])
end, { 'allow-oom' })
