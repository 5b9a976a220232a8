#!lua name=stripwatch_@VERSION@

-- Server-side steps that must be atomic. Every function declares each key it touches, and all keys of a call share
-- the line's hash tag. Those that free memory run with allow-oom: a full Redis could otherwise never empty itself.
--
-- The text's hash stands in every name, so that processes of two versions share a server during an upgrade.
--
-- Run hash: start, pins, live, deadline, cameras, rev, last, tries, closed, late, strays;
-- per camera C: end:C, frames:C, shed:C, judged:C, failed:C, inspected:C, strip:C, flag:C:INDEX, fail:C:INDEX; alarm:KEY;
-- of what is kept up to a bound (flag, fail): held:WHAT, cut:WHAT, beyond:WHAT

-- 30 days: what a run holds beside its hash goes with it, or after this where nobody closes it.
local UNCLOSED_MS = 2592000000
local MOST_STRAYS = 64

-- What Redis answers as name, value, name, value, ... by name.
local function by_name(parts)
  local found = {}
  for i = 1, #parts, 2 do found[parts[i]] = parts[i + 1] end
  return found
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- An entry's own time: a server's clock may go on between the step's begin and the entry.
local function time_of(id)
  return tonumber(string.match(id, '^%d+'))
end

local function touch(run, open, member, at, events)
  local plan = redis.call('HMGET', run, 'live', 'deadline', 'last')
  local last = math.max(at, tonumber(plan[3]) or 0)
  redis.call('HSET', run, 'last', last)
  redis.call('HINCRBY', run, 'rev', events or 1)
  if plan[1] == '1' then
    redis.call('ZADD', open, last + tonumber(plan[2]), member)
  end
end

-- Every declared frame of every camera has an outcome: a hint, the aggregator looks closely.
local function looks_complete(run)
  local names = redis.call('HGET', run, 'cameras')
  for name in string.gmatch(names, '[^,]+') do
    local c = redis.call('HMGET', run, 'frames:' .. name, 'shed:' .. name, 'judged:' .. name, 'failed:' .. name)
    if not c[1] then return false end
    if (tonumber(c[3]) or 0) + (tonumber(c[4]) or 0) < tonumber(c[1]) - tonumber(c[2]) then return false end
  end
  return true
end

-- Every camera's end came: what was sent before it waits somewhere, has its outcome, or is lost.
local function is_ended(run)
  for name in string.gmatch(redis.call('HGET', run, 'cameras'), '[^,]+') do
    if redis.call('HEXISTS', run, 'frames:' .. name) == 0 then return false end
  end
  return true
end

-- Whether the run did not declare the camera. If so it is remembered, the first 64 by name: the order does not matter.
local function is_stray(run, cameras, camera)
  if string.find(',' .. cameras .. ',', ',' .. camera .. ',', 1, true) then return false end
  local names = {camera}
  for name in string.gmatch(redis.call('HGET', run, 'strays') or '', '[^,]+') do
    if name == camera then return true end
    names[#names + 1] = name
  end
  table.sort(names)
  names[MOST_STRAYS + 1] = nil
  redis.call('HSET', run, 'strays', table.concat(names, ','))
  redis.call('HINCRBY', run, 'rev', 1)
  return true
end

local function let_go(run, order, what, frame)
  local size = redis.call('HSTRLEN', run, what .. ':' .. frame)
  if size == 0 then return end  -- and Redis takes no -0
  redis.call('ZREM', order, frame)
  redis.call('HDEL', run, what .. ':' .. frame)
  redis.call('HINCRBY', run, 'held:' .. what, -size)
end

-- Of what is remarkable the frames nearest to the head are kept, up to `most` bytes. Once one was dropped none behind
-- it is taken any more, so that what is kept is the same whatever the order they come in.
local function keep_nearest(run, order, what, index, frame, value, most)
  local at, name = string.match(redis.call('HGET', run, 'cut:' .. what) or '', '^(%d+) (.*)$')
  if at and (index > tonumber(at) or (index == tonumber(at) and frame >= name)) then
    redis.call('HINCRBY', run, 'beyond:' .. what, 1)
    return
  end
  redis.call('ZADD', order, index, frame)
  redis.call('PEXPIRE', order, UNCLOSED_MS)
  redis.call('HSET', run, what .. ':' .. frame, value)
  redis.call('HINCRBY', run, 'held:' .. what, #value)
  while tonumber(redis.call('HGET', run, 'held:' .. what)) > most do
    local last = redis.call('ZRANGE', order, -1, -1, 'WITHSCORES')
    let_go(run, order, what, last[1])
    redis.call('HSET', run, 'cut:' .. what, last[2] .. ' ' .. last[1])
    redis.call('HINCRBY', run, 'beyond:' .. what, 1)
  end
end

local function drop(stream, group, id)
  local ours = redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
  return ours
end

-- A copy for a recorder while it holds the lease; what a recorder that is gone left behind is removed.
local function tap(keys, limit, kind, member, body, pixels)
  if redis.call('EXISTS', keys[5]) == 0 then
    redis.call('UNLINK', keys[4])
    return
  end
  redis.call('XADD', keys[4], 'MAXLEN', '~', limit, '*', 'k', kind, 'r', member, 'b', body, 'p', pixels,
    'n', redis.call('HINCRBY', keys[5], 'n', 1))
end

-- keys: run, open, frames, tap, tap-lease; args: member, body, live, deadline ms, camera names, tap limit
local function start_run(keys, args)
  if redis.call('HEXISTS', keys[1], 'closed') == 1 then return redis.error_reply('CLOSED the run has its verdict') end
  if redis.call('HEXISTS', keys[1], 'start') == 1 then return 0 end
  redis.call('HSET', keys[1], 'start', args[2], 'live', args[3], 'deadline', args[4], 'cameras', args[5], 'rev', 0)
  redis.call('ZADD', keys[2], '+inf', args[1])
  local id = redis.call('XADD', keys[3], '*', 'k', 'start', 'r', args[1], 'b', args[2])
  touch(keys[1], keys[2], args[1], time_of(id))
  tap(keys, args[6], 'start', args[1], args[2], '')
  return 1
end

-- keys: run, open, tap, tap-lease; args: member, how many frames; 1: a recorder wants copies, so `publish` them. 0: they
-- come as plain XADD, because a function's arguments are copied three times, which costs more than all else done to them.
local function admit(keys, args)
  local known = redis.call('HMGET', keys[1], 'start', 'closed')
  if not known[1] and not known[2] then return redis.error_reply('UNSTARTED the run was never started') end
  if redis.call('EXISTS', keys[4]) == 1 then return 1 end
  redis.call('UNLINK', keys[3])
  if not known[2] then touch(keys[1], keys[2], args[1], now_ms(), args[2]) end
  return 0
end

-- keys: run, open, frames, tap, tap-lease; args: member, kind, body, pixels, tap limit
local function publish(keys, args)
  local known = redis.call('HMGET', keys[1], 'start', 'closed')
  if not known[1] and not known[2] then return redis.error_reply('UNSTARTED the run was never started') end
  local id
  if args[4] == '' then
    id = redis.call('XADD', keys[3], '*', 'k', args[2], 'r', args[1], 'b', args[3])
  else
    id = redis.call('XADD', keys[3], '*', 'k', args[2], 'r', args[1], 'b', args[3], 'p', args[4])
  end
  if not known[2] then touch(keys[1], keys[2], args[1], time_of(id)) end
  tap(keys, args[5], args[2], args[1], args[3], args[4])
  return id
end

-- A result on its way is news of its run: neither may its deadline fire nor a verdict that was decided without it stand.
local function stir(run, id)
  if redis.call('HEXISTS', run, 'start') == 1 then
    redis.call('HSET', run, 'last', time_of(id))
    redis.call('HINCRBY', run, 'rev', 1)
  end
end

-- keys: frames, results, run; args: group, id, kind, member, body
local function finish(keys, args)
  if redis.call('XACK', keys[1], args[1], args[2]) == 0 then return 0 end
  stir(keys[3], redis.call('XADD', keys[2], '*', 'k', args[3], 'r', args[4], 'b', args[5]))
  redis.call('XDEL', keys[1], args[2])
  return 1
end

-- Keeps `dead` within its bytes: the oldest letters go first. Each letter says its size, `dead-bytes` the sum.
local function bury_letter(dead, sum, letter, size, limit)
  redis.call('XADD', dead, '*', 'size', size, unpack(letter))
  local held = redis.call('INCRBY', sum, size)
  while held > tonumber(limit) do
    local oldest = redis.call('XRANGE', dead, '-', '+', 'COUNT', 1)[1]
    if not oldest then break end
    redis.call('XDEL', dead, oldest[1])
    held = redis.call('DECRBY', sum, oldest[2][2])
  end
end

-- keys: origin stream, results, dead, dead-bytes, run;
-- args: group, id, reason, origin name, limit in bytes, kind, member, body ('': no result)
local function bury(keys, args)
  local found = redis.call('XRANGE', keys[1], args[2], args[2])
  if redis.call('XACK', keys[1], args[1], args[2]) == 0 then return 0 end
  local letter, size = {'reason', args[3], 'origin', args[4]}, #args[3] + 200
  if found[1] then
    for _, part in ipairs(found[1][2]) do
      letter[#letter + 1] = part
      size = size + #part
    end
  end
  bury_letter(keys[3], keys[4], letter, size, args[5])
  if args[8] ~= '' then
    stir(keys[5], redis.call('XADD', keys[2], '*', 'k', args[6], 'r', args[7], 'b', args[8]))
  end
  redis.call('XDEL', keys[1], args[2])
  return 1
end

-- keys: dead, dead-bytes, frames, results, run, open; args: letter id, member
local function requeue(keys, args)
  local found = redis.call('XRANGE', keys[1], args[1], args[1])
  if not found[1] then return 0 end
  local entry, origin, size = {}, 'frames', 0
  local parts = found[1][2]
  for i = 1, #parts, 2 do
    if parts[i] == 'origin' then origin = parts[i + 1]
    elseif parts[i] == 'size' then size = parts[i + 1]
    elseif parts[i] ~= 'reason' then entry[#entry + 1] = parts[i]; entry[#entry + 1] = parts[i + 1] end
  end
  if #entry > 0 then
    local id = redis.call('XADD', origin == 'frames' and keys[3] or keys[4], '*', unpack(entry))
    if redis.call('HEXISTS', keys[5], 'start') == 1 then touch(keys[5], keys[6], args[2], time_of(id)) end
  end
  redis.call('XDEL', keys[1], args[1])
  redis.call('DECRBY', keys[2], size)
  return #entry > 0 and 1 or 0
end

-- keys: run; args: pins; those in force, '' for a run that is not open: nothing is put on its tombstone
local function pin(keys, args)
  if redis.call('HEXISTS', keys[1], 'start') == 0 then return '' end
  redis.call('HSETNX', keys[1], 'pins', args[1])
  return redis.call('HGET', keys[1], 'pins')
end

-- keys: run, open, results, seen, failed, kept flags, kept failures;
-- args: member, group, id, camera, index, inspected, strip, flagged, failure, bytes of flags, bytes of failures
local function record(keys, args)
  local run, open, member, camera, index = keys[1], keys[2], args[1], args[4], tonumber(args[5])
  local known = redis.call('HMGET', run, 'start', 'closed', 'cameras')
  if known[2] then
    if drop(keys[3], args[2], args[3]) == 1 then redis.call('HINCRBY', run, 'late', 1) end
    return 'late'
  end
  if not known[1] then return 'unknown' end
  if is_stray(run, known[3], camera) then
    drop(keys[3], args[2], args[3])
    return 'stray'
  end
  local frame, fresh = camera .. ':' .. index
  if args[9] == '' then
    fresh = redis.call('SETBIT', keys[4], index, 1) == 0
    if fresh then
      redis.call('PEXPIRE', keys[4], UNCLOSED_MS)
      redis.call('HINCRBY', run, 'judged:' .. camera, 1)
      redis.call('HINCRBY', run, 'inspected:' .. camera, args[6])
      redis.call('HINCRBY', run, 'strip:' .. camera, args[7])
      if args[8] ~= '' then keep_nearest(run, keys[6], 'flag', index, frame, args[8], tonumber(args[10])) end
      if redis.call('GETBIT', keys[5], index) == 1 then
        redis.call('SETBIT', keys[5], index, 0)
        redis.call('HINCRBY', run, 'failed:' .. camera, -1)
        let_go(run, keys[7], 'fail', frame)
      end
    end
  else
    fresh = redis.call('GETBIT', keys[4], index) == 0 and redis.call('SETBIT', keys[5], index, 1) == 0
    if fresh then
      redis.call('PEXPIRE', keys[5], UNCLOSED_MS)
      redis.call('HINCRBY', run, 'failed:' .. camera, 1)
      keep_nearest(run, keys[7], 'fail', index, frame, args[9], tonumber(args[11]))
    end
  end
  if fresh then touch(run, open, member, now_ms()) end
  local c = redis.call('HMGET', run, 'frames:' .. camera, 'shed:' .. camera, 'judged:' .. camera, 'failed:' .. camera)
  if c[1] and (tonumber(c[3]) or 0) + (tonumber(c[4]) or 0) >= tonumber(c[1]) - tonumber(c[2])
    and looks_complete(run) then
    redis.call('ZADD', open, 0, member)
  end
  drop(keys[3], args[2], args[3])
  return fresh and 'new' or 'repeat'
end

-- keys: run, open, results; args: member, group, id, camera, body, frames, shed
local function record_end(keys, args)
  local run, open, camera = keys[1], keys[2], args[4]
  local known = redis.call('HMGET', run, 'start', 'closed', 'cameras')
  if known[2] then
    drop(keys[3], args[2], args[3])
    return 'late'
  end
  if not known[1] then return 'unknown' end
  if is_stray(run, known[3], camera) then
    drop(keys[3], args[2], args[3])
    return 'stray'
  end
  local fresh = redis.call('HSETNX', run, 'end:' .. camera, args[5]) == 1
  if fresh then
    redis.call('HSET', run, 'frames:' .. camera, args[6], 'shed:' .. camera, args[7])
    touch(run, open, args[1], now_ms())
  end
  if is_ended(run) then redis.call('ZADD', open, 0, args[1]) end
  drop(keys[3], args[2], args[3])
  return fresh and 'new' or 'repeat'
end

-- keys: results; args: group, ids...
local function acknowledge(keys, args)
  for i = 2, #args do drop(keys[1], args[1], args[i]) end
  return 1
end

-- keys: open; args: limit
local function due(keys, args)
  return redis.call('ZRANGE', keys[1], '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, args[1])
end

-- keys: run, open; args: member, rev, delay ms. Only a run that is as it was seen: news of it may have made it due.
local function postpone(keys, args)
  if redis.call('HGET', keys[1], 'rev') ~= args[2] then return 0 end
  return redis.call('ZADD', keys[2], 'XX', now_ms() + tonumber(args[3]), args[1])
end

-- keys: run; args: rev; how often an open run was about to be decided as it stands, this time included; 0: not open
local function attempt(keys, args)
  if redis.call('HEXISTS', keys[1], 'start') == 0 then return 0 end
  local rev, count = string.match(redis.call('HGET', keys[1], 'tries') or '', '^(%d+) (%d+)$')
  count = rev == args[1] and tonumber(count) + 1 or 1
  redis.call('HSET', keys[1], 'tries', args[1] .. ' ' .. count)
  return count
end

-- One made before they were summed up may take more off the sum than it holds.
local function forget_verdict(verdicts, verdict_of, sum, entry)
  local parts = entry[2]
  redis.call('HDEL', verdict_of, parts[4])
  redis.call('XDEL', verdicts, entry[1])
  if redis.call('DECRBY', sum, #parts[6] + #parts[8]) < 0 then redis.call('SET', sum, 0) end
end

-- keys: run, open, verdicts, verdict-of, verdict-bytes, what else the run holds...;
-- args: member, rev, id, json, body, tombstone ms, keep ms, keep bytes
local function close(keys, args)
  local run, verdicts = keys[1], keys[3]
  local known = redis.call('HMGET', run, 'closed', 'rev')
  if known[1] or known[2] ~= args[2] then return 0 end
  local entry = redis.call('XADD', verdicts, '*', 'id', args[3], 'r', args[1], 'j', args[4], 'b', args[5])
  redis.call('HSET', keys[4], args[1], entry)
  redis.call('INCRBY', keys[5], #args[4] + #args[5])
  redis.call('ZREM', keys[2], args[1])
  for i = 6, #keys do redis.call('UNLINK', keys[i]) end
  redis.call('UNLINK', run)
  redis.call('HSET', run, 'closed', entry)
  redis.call('PEXPIRE', run, args[6])
  local until_ms, most = now_ms() - tonumber(args[7]), tonumber(args[8])
  for _ = 1, 100 do  -- a step stays short: what is left over goes with the next verdict
    local found = redis.call('XRANGE', verdicts, '-', '+', 'COUNT', 2)
    local due = time_of(found[1][1]) <= until_ms or tonumber(redis.call('GET', keys[5])) > most
    if #found < 2 or not due then break end
    forget_verdict(verdicts, keys[4], keys[5], found[1])
  end
  return 1
end

-- keys: run, alarms; args: key, id, member, json, body, limit
local function alarm(keys, args)
  if redis.call('HEXISTS', keys[1], 'start') == 0 then return 0 end
  if redis.call('HSETNX', keys[1], 'alarm:' .. args[1], args[2]) == 0 then return 0 end
  redis.call('XADD', keys[2], '*', 'id', args[2], 'r', args[3], 'j', args[4], 'b', args[5])
  local beyond = redis.call('XLEN', keys[2]) - tonumber(args[6])
  if beyond > 0 then
    for _, old in ipairs(redis.call('XRANGE', keys[2], '-', '+', 'COUNT', beyond)) do
      redis.call('XDEL', keys[2], old[1])
    end
  end
  return 1
end

-- keys: any streams; the id of each one's oldest entry, '' where it is empty
local function oldest(keys, args)
  local ids = {}
  for i, key in ipairs(keys) do
    local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
    ids[i] = first and first[1] or ''
  end
  return ids
end

-- keys: sources; args: mode (live, replay), owner, ttl ms
local function hold(keys, args)
  local now = now_ms()
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', now)
  local mine = args[1] .. ':' .. args[2]
  for _, other in ipairs(redis.call('ZRANGE', keys[1], 0, -1)) do
    local mode = string.match(other, '^[^:]+')
    if other ~= mine and (mode == 'replay' or args[1] == 'replay') then return other end
  end
  redis.call('ZADD', keys[1], now + tonumber(args[3]), mine)
  return ''
end

-- keys: tap-lease, tap; args: owner, ttl ms
local function lease(keys, args)
  local owner = redis.call('HGET', keys[1], 'owner')
  if owner and owner ~= args[1] then return owner end
  if not owner then
    redis.call('UNLINK', keys[2])
    redis.call('HSET', keys[1], 'owner', args[1], 'n', 0)
  end
  redis.call('PEXPIRE', keys[1], args[2])
  return ''
end

-- keys: tap-lease, tap; args: owner
local function unlease(keys, args)
  if redis.call('HGET', keys[1], 'owner') == args[1] then redis.call('UNLINK', keys[1], keys[2]) end
  return 1
end

-- keys: stream; args: group, consumer. Pending entries keep a consumer in its group: deleting it would lose them.
local function leave(keys, args)
  if #redis.call('XPENDING', keys[1], args[1], '-', '+', 1, args[2]) > 0 then return 0 end
  redis.call('XGROUP', 'DELCONSUMER', keys[1], args[1], args[2])
  return 1
end

-- keys: stream; args: group, idle ms. Who ended without leaving, and whose entries others took over, goes as well.
local function sweep(keys, args)
  local gone = 0
  for _, parts in ipairs(redis.call('XINFO', 'CONSUMERS', keys[1], args[1])) do
    local consumer = by_name(parts)
    if consumer.pending == 0 and consumer.idle > tonumber(args[2]) then
      redis.call('XGROUP', 'DELCONSUMER', keys[1], args[1], consumer.name)
      gone = gone + 1
    end
  end
  return gone
end

-- keys: stream; args: group, ids...; how often each entry was handed out, this time included
local function deliveries(keys, args)
  local counts = {}
  for i = 2, #args do
    local pending = redis.call('XPENDING', keys[1], args[1], args[i], args[i], 1)[1]
    counts[#counts + 1] = pending and pending[4] or 1
  end
  return counts
end

-- keys: stream; args: group, consumer, ids...; restarts the idle time of those that are still the consumer's
local function keep(keys, args)
  for i = 3, #args do
    local pending = redis.call('XPENDING', keys[1], args[1], args[i], args[i], 1)[1]
    if pending and pending[2] == args[2] then
      redis.call('XCLAIM', keys[1], args[1], args[2], 0, args[i], 'JUSTID')
    end
  end
  return 1
end

-- keys: stream; args: group, consumer, id, deliveries, id, deliveries, ...; how often each counts as handed out so far
local function excuse(keys, args)
  for i = 3, #args, 2 do
    local pending = redis.call('XPENDING', keys[1], args[1], args[i], args[i], 1)[1]
    if pending and pending[2] == args[2] then
      redis.call('XCLAIM', keys[1], args[1], args[2], 0, args[i], 'RETRYCOUNT', args[i + 1], 'JUSTID')
    end
  end
  return 1
end

-- keys: stream; args: group, consumer, heir, ids...; anyone may claim them at once, and this delivery does not count
local function hand_back(keys, args)
  for i = 4, #args do
    local pending = redis.call('XPENDING', keys[1], args[1], args[i], args[i], 1)[1]
    if pending and pending[2] == args[2] then
      redis.call('XCLAIM', keys[1], args[1], args[3], 0, args[i], 'IDLE', 2147483647,
        'RETRYCOUNT', math.max(0, pending[4] - 1), 'JUSTID')
    end
  end
  return 1
end

-- keys: stream; args: group; entries waiting, entries pending, age of the oldest in ms
local function backlog(keys, args)
  local first = redis.call('XRANGE', keys[1], '-', '+', 'COUNT', 1)[1]
  local age = first and math.max(0, now_ms() - time_of(first[1])) or 0
  return {redis.call('XLEN', keys[1]), redis.call('XPENDING', keys[1], args[1])[1], age}
end

-- keys: beat; args: ttl ms
local function beat(keys, args)
  redis.call('SET', keys[1], '1', 'PX', args[1])
  return 1
end

-- keys: frames; args: group; for how many ms the oldest entry has waited that nobody was given yet
local function waited(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then return 0 end
  for _, parts in ipairs(redis.call('XINFO', 'GROUPS', keys[1])) do
    local group = by_name(parts)
    if group.name == args[1] then
      local next = redis.call('XRANGE', keys[1], '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
      return next and math.max(0, now_ms() - time_of(next[1])) or 0
    end
  end
  return 0
end

local function register(name, callback, flags)
  redis.register_function{function_name = 'sw_@VERSION@_' .. name, callback = callback, flags = flags}
end

register('start_run', start_run, {})
register('admit', admit, {})
register('publish', publish, {})
register('finish', finish, {'allow-oom'})
register('bury', bury, {'allow-oom'})
register('requeue', requeue, {})
register('pin', pin, {'allow-oom'})
register('record', record, {'allow-oom'})
register('record_end', record_end, {'allow-oom'})
register('acknowledge', acknowledge, {'allow-oom'})
register('due', due, {'no-writes'})
register('postpone', postpone, {'allow-oom'})
register('attempt', attempt, {'allow-oom'})
register('close', close, {'allow-oom'})
register('alarm', alarm, {'allow-oom'})
register('now', function() return now_ms() end, {'no-writes'})
register('oldest', oldest, {'no-writes'})
register('keep', keep, {'allow-oom'})
register('excuse', excuse, {'allow-oom'})
register('hand_back', hand_back, {'allow-oom'})
register('deliveries', deliveries, {'no-writes'})
register('backlog', backlog, {'no-writes'})
register('beat', beat, {'allow-oom'})
register('waited', waited, {'no-writes'})
register('hold', hold, {'allow-oom'})
register('lease', lease, {'allow-oom'})
register('unlease', unlease, {'allow-oom'})
register('leave', leave, {'allow-oom'})
register('sweep', sweep, {'allow-oom'})
