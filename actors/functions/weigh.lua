-- weigh: what a job's keys hold of Redis's memory, in bytes, by what they are for. Nested values are
-- estimated from a few of theirs, panes from some of them, so that it takes well under a millisecond
-- however much there is.
-- args: panes looked at, at the most
-- reply: {stream and payloads, open windows, closed windows, the rest}
register('weigh', function(keys, args)
  local base = keys[1]
  local function weight(names)
    local sum = 0
    for _, name in ipairs(names) do
      sum = sum + (redis.call('MEMORY', 'USAGE', key(base, name)) or 0)
    end
    return sum
  end
  local starts = redis.call('HKEYS', key(base, 'panes'))
  local most = tonumber(args[1])
  local step = math.max(1, math.ceil(#starts / most))
  local panes, looked = 0, 0
  for i = 1, #starts, step do
    panes = panes + weight({ 'pane:' .. starts[i] })
    looked = looked + 1
  end
  if looked > 0 then panes = panes * #starts / looked end
  -- A small payload lies in the stream and a large one beside it; their bytes are counted.
  local payloads = tonumber(redis.call('HGET', key(base, 'totals'), 'waitingBytes') or '0')
  local stream = math.max(weight({ 'entries' }), payloads)
  return {
    int(stream + weight({ 'finished', 'progress', 'crashes', 'suspects' })),
    int(panes + weight({ 'panes', 'order', 'changed', 'revise', 'revisions', 'emitted', 'sessions', 'ends' })),
    int(weight({ 'closed', 'partial' })),
    int(weight({ 'rejects', 'verdicts', 'handled', 'losses', 'decisions', 'measurements', 'effects',
      'actors', 'totals', 'ledger' })),
  }
end, { 'no-writes' })
