-- list: puts topics into the ledger, or says what is different of them; all of it or nothing.
-- args: for each topic its index, what the ledger says of it ('' for nothing), what it is to say
-- reply: {1} | {0} the ledger says something else: look again
register('list', function(keys, args)
  local ledger = key(keys[1], 'ledger')
  for i = 1, #args, 3 do
    local held = redis.call('HGET', ledger, 'topic:' .. args[i]) or ''
    if held ~= args[i + 1] then return { 0 } end
  end
  for i = 1, #args, 3 do
    redis.call('HSET', ledger, 'topic:' .. args[i], args[i + 2])
  end
  return { 1 }
end, { 'allow-oom' })
