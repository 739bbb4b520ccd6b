-- What became of rejects, as compare-and-set: each change is made only where the mark is what the
-- caller believes, so that of two operators one replays or drops a reject.
-- KEYS: marks (hash), verdicts (stream)
-- ARGV: verdicts kept, then for each reject: 'partition:offset', mark expected ('' for none),
--       new mark ('' takes it away), '1' where the topic's record must be known as rejected from now
--       on, whatever the job says when it is asked again
-- reply: for each reject the mark before; the change was made where it is the expected one
local reply = {}
for i = 2, #ARGV, 4 do
  local place, expected, mark, ruled = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local held = redis.call('HGET', KEYS[1], place) or ''
  reply[#reply + 1] = held
  if held == expected then
    if mark == '' then redis.call('HDEL', KEYS[1], place)
    else redis.call('HSET', KEYS[1], place, mark) end
    if ruled == '1' then
      local partition, offset = string.match(place, '^(%d+):(%d+)$')
      redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'p', partition, 'reason', 'replayed',
        'closedTo', '', 'offsets', offset)
    end
  end
end
return reply
