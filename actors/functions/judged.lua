-- judged: which code judges records from now on. Where it is another than before, what stands at this
-- instant is noted in `judged`: a recomputation by the code of now has to leave it out.
-- args: hash of the job's code
-- reply: 1 noted, 0 nothing to note, -1 no ledger yet
register('judged', function(keys, args)
  local base = keys[1]
  local ledger = key(base, 'ledger')
  if redis.call('EXISTS', ledger) == 0 then return -1 end
  local before = redis.call('HGET', ledger, 'code')
  if before == args[1] then return 0 end
  redis.call('HSET', ledger, 'code', args[1])
  -- The first code of all, or of before this was noted: there is nothing to compare with.
  if not before then
    redis.call('DEL', key(base, 'judged'))
    return 0
  end
  local result = { at = int(now()), panes = redis.call('HKEYS', key(base, 'panes')), ahead = {} }
  for _, name in ipairs({ 'totals', 'ledger', 'clock' }) do
    result[name] = map(redis.call('HGETALL', key(base, name)))
    result[name][''] = '' -- cjson writes an empty table as an object only if it has a key
  end
  -- What is done beyond the finished prefixes: partition, from, to.
  for place, range in pairs(map(redis.call('HGETALL', key(base, 'finished')))) do
    local partition, from = string.match(place, '^(%d+):(%d+)$')
    result.ahead[#result.ahead + 1] = { partition, from, string.match(range, '^%d+') }
  end
  for id, progress in pairs(map(redis.call('HGETALL', key(base, 'progress')))) do
    local entry = redis.call('XRANGE', key(base, 'entries'), id, id)[1]
    if entry then
      local fields = map(entry[2])
      result.ahead[#result.ahead + 1] = { fields.p, fields.from, string.match(progress, '^%d+') }
    end
  end
  redis.call('SET', key(base, 'judged'), cjson.encode(result))
  return 1
end, { 'allow-oom' })
