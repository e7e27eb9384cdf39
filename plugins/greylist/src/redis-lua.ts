/**
 * The decision and every other change as Lua, run inside Redis: each one script, one key, one round trip.
 *
 * Says `decide.ts` again, function by function; a test plays the same random history through both and compares. The key is a
 * hash with all that belongs to an origin, so that a script never leaves its slot of a Cluster. What always holds: the clock is the
 * server's, so that hosts need not agree on the time; what is not a mark counts as absent, is named in the reply, and is
 * written over; a field that has expired counts as absent, whatever the key's TTL is, which only clears away.
 */

/**
 * KEYS[1]: the origin's hash. ARGV[1]: milliseconds since 1970, empty for the server's clock.
 *
 * Fields: `o` origin, `p` pending, `x` trap, `i` pin, `d…` a sender domain, `t…` a tuple. Values: first, and then last, count
 * and expires, times in seconds and those two counted from first: short values take less memory.
 */
const COMMON = `
local key, bad, wrong, now = KEYS[1], {}, false, nil
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
else
  now = tonumber(ARGV[1])
end
local held = redis.call('TYPE', key).ok
if held ~= 'hash' and held ~= 'none' then
  wrong = true
  bad[1] = '*' .. held
end

local MOST = 253402300799
local function sane(number) return number >= 0 and number <= MOST end

local function parse(text)
  if #text > 60 then return false end
  local first, last, count, expires = string.match(text, '^(%d+),(-?%d+),(%d+),(-?%d+)$')
  if not first then return false end
  first, count = tonumber(first), tonumber(count)
  last, expires = first + tonumber(last), first + tonumber(expires)
  if not (sane(first) and sane(last) and sane(count) and sane(expires)) then return false end
  return { first = first * 1000, last = last * 1000, count = count, expires = expires * 1000 }
end

local function read(fields)
  local marks = {}
  local texts = wrong and {} or redis.call('HMGET', key, unpack(fields))
  for at, field in ipairs(fields) do
    marks[at] = texts[at] and parse(texts[at]) or false
    if texts[at] and not marks[at] then bad[#bad + 1] = field end
  end
  return marks
end

local puts, drops, furthest = {}, {}, 0
local function put(field, mark)
  local first = math.floor(mark.first / 1000)
  puts[#puts + 1] = field
  puts[#puts + 1] = string.format('%d,%d,%d,%d', first, math.floor(mark.last / 1000) - first, mark.count,
    math.ceil(mark.expires / 1000) - first)
  furthest = math.max(furthest, math.ceil(mark.expires / 1000) * 1000 - now)
end
local function drop(field) drops[#drops + 1] = field end

-- A few fields at each writing: as many go as come, and nobody waits for a large hash. An hour late, so that a clock which is
-- set back and forth forgets nothing.
local function sweep()
  if redis.call('HLEN', key) <= 8 then return end
  local some = redis.pcall('HRANDFIELD', key, 4, 'WITHVALUES')
  if some.err then return end
  for at = 1, #some, 2 do
    local mark = parse(some[at + 1])
    if not mark or mark.expires + 3600000 <= now then redis.call('HDEL', key, some[at]) end
  end
end

-- False when Redis has no memory left; then nothing was changed.
local function write()
  if wrong and (#puts > 0 or #drops > 0) then
    redis.call('DEL', key)
    wrong = false
  end
  if #puts > 0 then
    local done = redis.pcall('HSET', key, unpack(puts))
    if type(done) == 'table' and done.err then
      if string.find(done.err, 'OOM', 1, true) then return false end
      error(done.err)
    end
    if redis.call('PTTL', key) < furthest then redis.call('PEXPIRE', key, furthest) end
  end
  if #drops > 0 then redis.call('HDEL', key, unpack(drops)) end
  if #puts > 0 then sweep() end
  return true
end

local function flat(mark)
  return mark and { mark.first, mark.last, mark.count, mark.expires } or {}
end
`

/** ARGV[2] to ARGV[8]: the policy, in the order of `redis.ts`. ARGV[9]: the field of the domain; then those of the tuples. */
const SEEN = `
local wait, window, life, retries, passes, spacing, most =
  tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local D, fields = ARGV[9], { 'o', 'p', 'x', 'i' }
for at = 9, #ARGV do fields[#fields + 1] = ARGV[at] end
local marks = read(fields)
local function alive(mark) return mark and mark.expires > now and mark or false end
local origin, pending, trap, pin, domain = alive(marks[1]), alive(marks[2]), alive(marks[3]), alive(marks[4]), alive(marks[5])
local names, tuples = {}, {}
for at = 6, #fields do
  names[at - 5] = fields[at]
  tuples[at - 5] = marks[at] and now - marks[at].first <= window and alive(marks[at])
end

local function renew(mark)
  local expires = now + life
  if expires - mark.expires < math.min(3600000, life / 2) then return false end
  return { first = mark.first, last = mark.last, count = mark.count, expires = expires }
end

local function learned(mark)
  return { first = mark and mark.first or now, last = now, count = (mark and mark.count or 0) + 1, expires = now + life }
end

local function done()
  local taken = {}
  for at, mark in ipairs(tuples) do if mark then taken[#taken + 1] = names[at] end end
  return taken
end

local function learn(taken)
  put(D, learned(domain))
  put('o', learned(origin))
  if #taken > 0 and pending then
    local left = pending.count - #taken
    if left > 0 then
      put('p', { first = pending.first, last = pending.last, count = left, expires = pending.expires })
    else
      drop('p')
    end
  end
  for _, field in ipairs(taken) do drop(field) end
end

-- Adds marks for tuples without one, as far as the origin has room.
local function room(changes)
  local added, before = 0, pending and pending.count or 0
  for at, mark in ipairs(tuples) do
    if not mark then
      if before + added >= most then break end
      changes[#changes + 1] = { names[at], { first = now, last = now, count = 0, expires = now + window } }
      added = added + 1
    end
  end
  if added > 0 then
    changes[#changes + 1] = { 'p', {
      first = pending and pending.first or now, last = now, count = before + added,
      expires = pending and pending.expires or now + window } }
  end
  return added
end
`

const CHECK = `
local function answer(state, mark, left)
  if not write() and (state == 'new' or state == 'early' or state == 'again') then
    return { 'full', wait, now, {}, bad }
  end
  return { state, left, now, flat(mark), bad }
end

if pin then return answer('pinned', pin, 0) end
if trap then return answer('trapped', trap, trap.expires - now) end
if origin and passes > 0 and origin.count >= passes then
  local renewed = renew(origin)
  if renewed then put('o', renewed) end
  return answer('known', origin, 0)
end
if domain then
  if not origin or now - origin.last >= spacing then
    learn({})
  else
    local renewed = renew(domain)
    if renewed then put(D, renewed) end
  end
  return answer('domain', domain, 0)
end

local changes, best, ripe = {}, false, false
for at, mark in ipairs(tuples) do
  if mark then
    local first = math.min(mark.first, now)
    local aged = now - first >= wait
    local count = mark.count + (aged and 1 or 0)
    if aged and count >= retries then
      learn(done())
      return answer('passed', mark, 0)
    end
    changes[#changes + 1] = { names[at], { first = first, last = now, count = count, expires = first + window } }
    if aged and not ripe then ripe = mark end
    if not best or first < best.first then
      best = { first = first, last = mark.last, count = mark.count, expires = mark.expires }
    end
  end
end
local added = room(changes)
if not best and added == 0 then return answer('overflow', false, wait) end
for _, change in ipairs(changes) do put(change[1], change[2]) end
if ripe then return answer('again', ripe, 0) end
if best then return answer('early', best, math.max(0, wait - (now - best.first))) end
return answer('new', false, wait)
`

const NOTE = `
if pin or trap then return { bad } end
local changes = {}
room(changes)
for _, change in ipairs(changes) do put(change[1], change[2]) end
write()
return { bad }
`

const CREDIT = `
if trap and not pin then return { bad } end
if domain and origin and now - origin.last < spacing then
  for _, field in ipairs(done()) do drop(field) end
else
  learn(done())
end
write()
return { bad }
`

/** ARGV[2]…: fields. */
const LOOK = `
local fields = {}
for at = 2, #ARGV do fields[#fields + 1] = ARGV[at] end
local marks = read(fields)
for at in ipairs(marks) do marks[at] = flat(marks[at]) end
return { marks, bad }
`

/** ARGV[2]: for how long, milliseconds. */
const PASS = `
local before = read({ 'i' })[1]
if before and before.expires <= now then before = false end
drop('x')
put('i', { first = before and before.first or now, last = now, count = 0, expires = now + ARGV[2] })
if not write() then return redis.error_reply('OOM no memory for what the postmaster said') end
return { bad }
`

const TRAP = `
redis.call('DEL', key)
wrong = false
put('x', { first = now, last = now, count = 0, expires = now + ARGV[2] })
if not write() then return redis.error_reply('OOM no memory for a trap') end
return { bad }
`

/** ARGV[2]: a field, empty for all. */
const FORGET = `
local gone
if ARGV[2] ~= '' then
  gone = wrong and 0 or redis.call('HDEL', key, ARGV[2])
else
  gone = wrong and 1 or redis.call('HLEN', key)
  redis.call('DEL', key)
end
return { gone, bad }
`

/** From ARGV[2] on: field, first, last, count, expires of each mark, in milliseconds. */
const MERGE = `
local taken, known = 0, {}
for at = 2, #ARGV, 5 do
  local field = ARGV[at]
  if known[field] == nil then known[field] = read({ field })[1] end
  local mark = { first = tonumber(ARGV[at + 1]), last = tonumber(ARGV[at + 2]), count = tonumber(ARGV[at + 3]), expires = tonumber(ARGV[at + 4]) }
  local before = known[field]
  if before and before.expires > now then
    mark = { first = math.min(before.first, mark.first), last = math.max(before.last, mark.last),
      count = math.max(before.count, mark.count), expires = math.max(before.expires, mark.expires) }
  end
  known[field] = mark
  taken = taken + 1
end
for field, mark in pairs(known) do put(field, mark) end
if not write() then return { 0, bad } end
return { taken, bad }
`

/** KEYS[1]: of the secret. ARGV[1]: the one to use when there is none. */
const SECRET = `
local held = redis.call('TYPE', KEYS[1]).ok
local text = held == 'string' and redis.call('GET', KEYS[1])
if text and #text == 64 and not string.find(text, '[^0-9a-f]') then return { text, '' } end
redis.call('SET', KEYS[1], ARGV[1])
return { ARGV[1], held == 'none' and '' or held }
`

/** KEYS[1]: of the numbers. ARGV: name and amount of each. */
const COUNT = `
local held, bad = redis.call('TYPE', KEYS[1]).ok, {}
if held ~= 'hash' and held ~= 'none' then
  redis.call('DEL', KEYS[1])
  bad[1] = '*' .. held
end
for at = 1, #ARGV, 2 do
  local done = redis.pcall('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
  if type(done) == 'table' and done.err then
    if string.find(done.err, 'OOM', 1, true) then return redis.error_reply(done.err) end
    bad[#bad + 1] = ARGV[at]
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
return { bad }
`

/** KEYS[1]: any key. Writes, because a server that can only be read cannot decide. */
const PROBE = `
redis.call('SET', KEYS[1], '1', 'PX', 60000)
return 1
`

/** What a script does: its name to `redis-client.ts`. */
export type ScriptName =
  | 'check'
  | 'note'
  | 'credit'
  | 'look'
  | 'pass'
  | 'trap'
  | 'forget'
  | 'merge'
  | 'secret'
  | 'count'
  | 'probe'

export const SCRIPTS: Readonly<Record<ScriptName, string>> = {
  check: COMMON + SEEN + CHECK,
  note: COMMON + SEEN + NOTE,
  credit: COMMON + SEEN + CREDIT,
  look: COMMON + LOOK,
  pass: COMMON + PASS,
  trap: COMMON + TRAP,
  forget: COMMON + FORGET,
  merge: COMMON + MERGE,
  secret: SECRET,
  count: COUNT,
  probe: PROBE,
}
