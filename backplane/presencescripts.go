package backplane

// The scripts of presence. KEYS[1] is the prefix of all its keys, in braces, so that a
// Redis Cluster has them in one slot:
//
//	nodes       sorted set: node -> end of its lease, in microseconds by the clock of Redis
//	info        hash: node -> its description
//	beats       hash: node -> the number of its last beat
//	of:NODE     hash: every entry of the node -> user; all others are derived from these
//	conns       hash: connection -> value
//	users       hash: user -> connections
//	groups      hash: group -> members
//	members:G   hash: connection -> value
//	in:G        hash: user or anonymous connection -> connections in the group
//
// An entry is "c" and a connection, or "g", the length of the connection's id, a
// colon, the id and the group. A value is netstrings: node, user, since, metadata.
// An entry is added, and counted, only if of:NODE did not have it, and removed only
// if it had, so a script that is sent twice counts once.
const presenceLua = `
local base, node, channel = KEYS[1], ARGV[1], ARGV[2]
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function alive()
  local lease = redis.call('ZSCORE', base .. 'nodes', node)
  return lease and tonumber(lease) > now
end
local function event(kind, user, conn, group)
  local text = ''
  for _, s in ipairs({kind, user, conn, group, node, ARGV[3]}) do text = text .. #s .. ':' .. s end
  redis.call('PUBLISH', channel, text)
end
local function count(hash, name, by)
  local n = redis.call('HINCRBY', base .. hash, name, by)
  if n <= 0 then redis.call('HDEL', base .. hash, name) end
  return n
end
local function parts(entry)
  local length = string.match(entry, '^g(%d+):')
  if not length then return string.sub(entry, 2) end
  local from = #length + 3
  return string.sub(entry, from, from + length - 1), string.sub(entry, from + length)
end
local function who(user, conn)
  if user ~= '' then return 'u' .. user end
  return 'c' .. conn
end
local function put(entry, user, value)
  local conn, group = parts(entry)
  local hash = group and 'members:' .. group or 'conns'
  redis.call('HSET', base .. hash, conn, value)
  if redis.call('HSET', base .. 'of:' .. node, entry, user) == 0 then return end
  if group then
    count('groups', group, 1)
    if count('in:' .. group, who(user, conn), 1) == 1 then event('joined', user, conn, group) end
  elseif user ~= '' and count('users', user, 1) == 1 then
    event('online', user, conn, '')
  end
end
local function drop(entry)
  local user = redis.call('HGET', base .. 'of:' .. node, entry)
  if not user then return end
  redis.call('HDEL', base .. 'of:' .. node, entry)
  local conn, group = parts(entry)
  local hash = group and 'members:' .. group or 'conns'
  local value, own = redis.call('HGET', base .. hash, conn), #node .. ':' .. node
  if value and string.sub(value, 1, #own) == own then redis.call('HDEL', base .. hash, conn) end
  if group then
    count('groups', group, -1)
    if count('in:' .. group, who(user, conn), -1) <= 0 then event('left', user, conn, group) end
  elseif user ~= '' and count('users', user, -1) <= 0 then
    event('offline', user, conn, '')
  end
end
`

// beatScript renews the lease of a node. ARGV are the node, the lease in
// microseconds, its description, the last beat that it knows to be on Redis, and the
// number of this one. It returns whether the lease was still valid, the microseconds
// until the next lease expires, and the nodes whose lease has expired. A beat that the
// node does not know of may have arrived after its entries were removed, so that the
// lease only seems never to have expired.
const beatScript = `
local base, node = KEYS[1], ARGV[1]
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local lease = redis.call('ZSCORE', base .. 'nodes', node)
local known = redis.call('HGET', base .. 'beats', node) == ARGV[4]
local answer = {known and lease and tonumber(lease) > now and '1' or '0', '0'}
redis.call('HSET', base .. 'beats', node, ARGV[5])
redis.call('ZADD', base .. 'nodes', string.format('%.0f', now + ARGV[2]), node)
redis.call('HSET', base .. 'info', node, ARGV[3])
local first = redis.call('ZRANGEBYSCORE', base .. 'nodes', '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
answer[2] = string.format('%.0f', first[2] - now)
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', base .. 'nodes', '-inf', string.format('%.0f', now))) do
  answer[#answer + 1] = dead
end
return answer`

// changeScript changes entries of a node: ARGV are the node, the channel of events,
// the node once more, and for each entry 1 or 0, the entry, its user and its
// value. It returns 0, and changes nothing, if the lease of the node has expired.
const changeScript = presenceLua + `
if not alive() then return 0 end
for i = 4, #ARGV, 4 do
  if ARGV[i] == '1' then put(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) else drop(ARGV[i + 1]) end
end
return 1`

// sweepScript removes entries of a node whose lease has expired: ARGV are the node,
// the channel, the node that sweeps, about how many at once, and 1 if it is the
// node itself, which is closing. It returns 1 while something is left.
const sweepScript = presenceLua + `
if ARGV[5] ~= '1' and alive() then return 0 end
local of, cursor = base .. 'of:' .. node, '0'
repeat
  local page = redis.call('HSCAN', of, cursor, 'COUNT', ARGV[4])
  cursor = page[1]
  for i = 1, #page[2], 2 do drop(page[2][i]) end
  if #page[2] > 0 and redis.call('HLEN', of) > 0 then return 1 end
until cursor == '0'
if redis.call('HLEN', of) > 0 then return 1 end
redis.call('ZREM', base .. 'nodes', node)
redis.call('HDEL', base .. 'info', node)
redis.call('HDEL', base .. 'beats', node)
return 0`

// nodesScript returns the nodes whose lease is valid, each with its description.
const nodesScript = `
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000000 + t[2])
local answer = {}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1] .. 'nodes', '(' .. now, '+inf')) do
  answer[#answer + 1] = node
  answer[#answer + 1] = redis.call('HGET', KEYS[1] .. 'info', node) or ''
end
return answer`
