-- took: a sink's account of itself, and its position where that moved; only from who holds its lease,
-- which begins anew. Who has lost it, and does not know yet, moves nothing.
-- args: sink, who, lease in ms, account, position or '' where it did not move
-- reply: 1, or 0 where the lease is somebody else's
register('took', function(keys, args)
  local base = keys[1]
  local lease = key(base, 'sink:' .. args[1])
  local holder = redis.call('GET', lease)
  if holder and holder ~= args[2] then return 0 end
  redis.call('SET', lease, args[2], 'PX', args[3])
  redis.call('HSET', key(base, 'sinks'), args[1], args[4])
  if args[5] ~= '' then redis.call('HSET', key(base, 'taken'), args[1], args[5]) end
  return 1
end, { 'allow-oom' })
