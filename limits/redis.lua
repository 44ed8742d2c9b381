-- One step of a Redis limiter, for the keys of one hash tag.
--
-- KEYS[1] is the tag's clock; the tag's other keys have its name before ":t".
-- KEYS[2], where it is given, is the key of the store's epoch.
-- ARGV is the operation, the time in microseconds or "" for the server's, the
-- epoch that the caller knows or "", and what the operation takes.
--
--   TAG:t          the latest time seen: time never runs back here
--   TAG:z          leases by when they expire
--   TAG:l:ID       a lease: when it began, and what it holds of which counts
--   TAG:c:SUFFIX   a count: h held, u until when used (rates), s spent (money), x when it ends, m whose it is,
--                  p what s was at the time q, while it stands above the ledger's
--   TAG:i          the suffixes of counts that there are, some of counts that were
--
-- All numbers are integers below 2^53, which a double has exactly. A reply is
-- the code, the two times, the operation's numbers, and what expired leases
-- made of sums of money (whose, before, after). Codes: 1 done, 0 refused or
-- nothing to do, -1 another period of the calendar, -2 another epoch.
local MOST = 9e15
local DAY = 86400000 -- milliseconds
local KEEP = 40 * DAY -- of a tag that nobody uses
local IDLE = 600000 -- of a count beyond the time that it tells of
local LATE = 2 * DAY -- of a sum of money beyond its period, and of a lease for what settles late
local REAP = 50 -- leases that one step ends

local base = string.sub(KEYS[1], 1, -3)
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local at = 3

local function int(n) return string.format('%.0f', n) end

local function arg()
  at = at + 1
  return ARGV[at]
end

local function num() return tonumber(arg()) end

local raw = tonumber(ARGV[2])
if not raw then
  local t = redis.call('TIME')
  raw = t[1] * 1000000 + t[2]
end
if KEYS[2] and redis.call('GET', KEYS[2]) ~= ARGV[3] then return { -2, raw, raw, {}, {} } end
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
local now = max(raw, last)
if ARGV[1] ~= 'status' then redis.call('SET', KEYS[1], int(now), 'PX', KEEP) end -- to look is no use
if floor(now / 3.6e9) ~= floor(last / 3.6e9) then redis.call('PEXPIRE', base .. ':i', KEEP) end

-- The time in which n of a rate of a in w flow off, rounded up. Where the
-- product is beyond 2^53 it is divided by pairs of bits.
local function long(n, a, w)
  if n <= 0 then return 0 end
  local whole, r = floor(n / a) * w, n % a
  if r * w < 2 ^ 53 then return min(whole + ceil(r * w / a), MOST) end
  local rest, out = 0, 0
  for shift = 50, 0, -2 do
    rest = rest * 4 + r * (floor(w / 2 ^ shift) % 4)
    local d = floor(rest / a)
    rest, out = rest - d * a, out * 4 + d
  end
  if rest > 0 then out = out + 1 end
  return min(whole + out, MOST)
end

local counts = {} -- that this step has read
local told = {}

local function count(suffix)
  local c = counts[suffix]
  if not c then
    local f = redis.call('HMGET', base .. ':c:' .. suffix, 'h', 'u', 's', 'x', 'm')
    local h, u, s = tonumber(f[1] or 0), tonumber(f[2] or 0), tonumber(f[3] or 0)
    c = { suffix = suffix, h = h, u = u, s = s, x = tonumber(f[4] or 0), m = f[5], is = f[1], h0 = h, u0 = u, s0 = s }
    counts[suffix] = c
  end
  return c
end

-- Takes some suffixes out of the index whose counts are gone.
local function prune(n)
  for _, suffix in ipairs(redis.call('SRANDMEMBER', base .. ':i', n)) do
    if redis.call('EXISTS', base .. ':c:' .. suffix) == 0 then redis.call('SREM', base .. ':i', suffix) end
  end
end

-- The count for a value. Values beyond the bound share one for each limit.
local function find(suffix, meta, bound)
  local c = count(suffix)
  if c.is then
    c.meta = meta
    return c
  end
  prune(2)
  if redis.call('SCARD', base .. ':i') >= bound then
    prune(32)
    if redis.call('SCARD', base .. ':i') >= bound then
      c = count(string.gsub(suffix, '^([^.]*)%.[^.]*', '%1.others'))
      meta = string.match(meta, '^[^\n]*') .. '\n(all others)'
    end
  end
  c.meta = meta
  return c
end

-- A count is to be written; p tells how long it is of use.
local function keep(c, p)
  local ttl = IDLE
  if p.k == 'u' then
    ttl = max(0, p.e - raw) / 1000 + LATE
  elseif p.k ~= 'c' then
    ttl = (max(0, c.u - now) + p.w) / 1000 + IDLE
  end
  c.ttl = min(max(c.ttl or 0, ceil(ttl)), 400 * DAY)
end

local function save()
  for _, c in pairs(counts) do
    if c.ttl then
      local key = base .. ':c:' .. c.suffix
      if not c.is or c.h ~= c.h0 then redis.call('HSET', key, 'h', int(c.h)) end
      if c.u ~= c.u0 then redis.call('HSET', key, 'u', int(c.u)) end
      if c.s ~= c.s0 then redis.call('HSET', key, 's', int(c.s)) end
      if c.meta and c.meta ~= c.m then redis.call('HSET', key, 'm', c.meta) end
      local need = raw + c.ttl * 1000
      if c.x < need or c.x > need + 2000 * IDLE then
        redis.call('HSET', key, 'x', int(need + 1000 * IDLE))
        redis.call('PEXPIRE', key, int(c.ttl + IDLE))
      end
      if not c.is and redis.call('SADD', base .. ':i', c.suffix) == 1 then redis.call('PEXPIRE', base .. ':i', KEEP) end
    end
  end
end

local function charge(c, p, n, when)
  if p.k == 'u' then
    c.s = min(max(0, c.s + n), MOST)
  else
    c.u = min(max(c.u, when) + long(n, p.a, p.w), MOST)
  end
  keep(c, p)
end

local function hold(c, p, n)
  n = min(n, MOST - c.h)
  c.h = c.h + n
  p.n = p.n + n
  keep(c, p)
end

local function free(c, p)
  c.h = max(0, c.h - p.n)
  keep(c, p)
end

-- Charges a held estimate as if it had been used.
local function convert(p, when)
  local c = count(p.s)
  local before = c.s
  free(c, p)
  if p.k ~= 'c' then charge(c, p, p.n, when) end
  p.c = 1
  return c, before
end

local function lease(id)
  local text = redis.call('GET', base .. ':l:' .. id)
  local l = text and cmsgpack.unpack(text)
  if l and l.p then return l end
end

local function put(id, l, ...)
  local ttl = IDLE
  for _, p in ipairs(l.p) do
    ttl = max(ttl, p.k == 'u' and (p.e - raw) / 1000 or p.w / 1000)
  end
  return redis.call('SET', base .. ':l:' .. id, cmsgpack.pack(l), 'PX', int(min(ttl + 2 * LATE, 400 * DAY)), ...)
end

local function alive(id, expires)
  redis.call('ZADD', base .. ':z', int(expires), id)
  redis.call('PEXPIRE', base .. ':z', KEEP)
end

-- Ends the leases that got no heartbeat: by their estimates, not by 0. They
-- stay known, for what settles late.
local function reap()
  local dead = redis.call('ZRANGEBYSCORE', base .. ':z', '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, REAP)
  for i = 1, #dead, 2 do
    local l = lease(dead[i])
    if l then
      for _, p in ipairs(l.p) do
        if p.c == 0 then
          local c, before = convert(p, tonumber(dead[i + 1]))
          if p.k == 'u' and c.m then
            told[#told + 1] = p.s .. '\n' .. c.m
            told[#told + 1] = before
            told[#told + 1] = c.s
          end
        end
      end
      l.x = 1
      put(dead[i], l)
    end
    redis.call('ZREM', base .. ':z', dead[i])
  end
end

-- How long it takes until n more fit; -1: they do.
local function full(c, p, n, burst)
  if p.k == 'c' then return c.h + n > p.a and 1000000 or -1 end
  if p.k == 'u' then
    if n == 0 or c.s + c.h + n <= p.a then return -1 end
    return c.s + n <= p.a and 1000000 or max(0, p.e - raw)
  end
  local over = max(0, c.u - now) + long(c.h + min(n, burst), p.a, p.w) - long(burst, p.a, p.w)
  return over > 0 and over or -1
end

local function show(out, c, wait)
  local n = #out
  out[n + 1], out[n + 2], out[n + 3], out[n + 4] = c.h, c.u, c.s, wait
end

local function bit(flags, b) return floor(flags / b) % 2 == 1 end

local ops = {}

-- ID, lease time, the period that the caller took it to be, the bound of
-- values; for each rule: suffix, kind, amount, window, burst, end of period,
-- asked, flags (1 blocks, 2 is left out where full, 4 price unknown), whose.
function ops.reserve(out)
  local id, ttl, from, to, bound = arg(), num(), num(), num(), num()
  if raw < from or raw >= to then return -1 end
  local rules, refused = {}, false
  while at < #ARGV do
    local r = { s = arg(), k = arg(), a = num(), w = num(), b = num(), e = num(), n = num(), f = num() }
    local c = find(r.s, arg(), bound)
    r.c = c
    local wait = full(c, r, r.n, r.b)
    if bit(r.f, 4) then wait = 0 end
    r.left = wait >= 0 and bit(r.f, 2)
    refused = refused or wait >= 0 and bit(r.f, 1)
    show(out, c, wait)
    rules[#rules + 1] = r
  end
  if refused then return 0 end
  local l = { b = now, p = {} }
  for _, r in ipairs(rules) do
    if not r.left then
      l.p[#l.p + 1] = { s = r.c.suffix, k = r.k, a = r.a, w = r.w, e = r.e, n = 0, c = 0, u = 0, r = r }
    end
  end
  if redis.call('EXISTS', base .. ':l:' .. id) == 1 then return 0 end -- it was taken back before it came
  for _, p in ipairs(l.p) do
    local r = p.r
    p.r = nil
    if p.k == 'q' then
      charge(r.c, p, r.n, now)
      p.n, p.c, p.u = r.n, 1, r.c.u
    else
      hold(r.c, p, r.n)
    end
  end
  put(id, l)
  alive(id, now + ttl)
  return 1
end

-- ID; for each part: asked, burst, flags (1 blocks, 4 price unknown, 8 counts once for a call).
function ops.topup(out)
  local id = arg()
  local l = lease(id)
  if not l or l.x then return 0 end
  local refused, asked = false, {}
  for i, p in ipairs(l.p) do
    local n, burst, flags = num(), num(), num()
    local c, wait = count(p.s), -1
    if not bit(flags, 8) then
      wait = full(c, p, n, burst)
      if bit(flags, 4) then wait = 0 end
      asked[i] = n
    end
    refused = refused or wait >= 0 and bit(flags, 1)
    show(out, c, wait)
  end
  if refused then return 1 end
  for i, n in pairs(asked) do
    local p = l.p[i]
    local c = count(p.s)
    if p.c == 1 then
      charge(c, p, n, now)
      p.n = p.n + n
    else
      hold(c, p, n)
    end
  end
  put(id, l)
  return 1
end

-- ID, lease time.
function ops.beat()
  local id, ttl = arg(), num()
  local l = lease(id)
  if not l or l.x then return 0 end
  for _, p in ipairs(l.p) do
    if p.c == 0 and p.k ~= 'u' and p.w > 0 and now - l.b >= p.w then convert(p, now) end
    keep(count(p.s), p)
  end
  put(id, l)
  alive(id, now + ttl)
  return 1
end

-- ID, how (settle, release, cancel); for each part: used, 1 where it is at
-- least what was held. Numbers of the reply: sums of money before and after.
function ops.settle(out)
  local id, how = arg(), arg()
  local l = lease(id)
  if not l then
    if how == 'cancel' then redis.call('SET', base .. ':l:' .. id, cmsgpack.pack({ x = 2 }), 'PX', IDLE) end
    return 0
  end
  for _, p in ipairs(l.p) do
    local n, least = num() or 0, num() or 0
    local c = count(p.s)
    local before = c.s
    if p.c == 0 then free(c, p) end
    if p.k == 'q' and how ~= 'settle' then
      c.u = c.u - max(0, min(long(1, p.a, p.w), p.u - now))
      keep(c, p)
    elseif p.k == 'u' or p.k == 'r' then
      if least == 1 then n = max(n, p.n) end
      if p.c == 0 then
        charge(c, p, n, now)
      elseif p.k == 'u' or n > p.n then
        charge(c, p, n - p.n, now)
      end
    end
    out[#out + 1] = before
    out[#out + 1] = c.s
  end
  redis.call('DEL', base .. ':l:' .. id)
  redis.call('ZREM', base .. ':z', id)
  return 1
end

-- The bound of values; for each sum: suffix, end of period, spent, whose. What
-- is held may be in the ledger's sum already.
function ops.correct(out)
  local bound = num()
  while at < #ARGV do
    local p = { s = arg(), k = 'u', e = num() }
    local n = num()
    local c = find(p.s, arg(), bound)
    out[#out + 1] = c.s
    c.s = max(c.s, min(n, MOST) - c.h)
    out[#out + 1] = c.s
    keep(c, p)
  end
  return 1
end

-- How long all that is spent takes at most to reach the ledger; for each sum:
-- suffix, end of period, what the ledger knows. A sum that stood above that for
-- so long holds what was never spent: by so much it is lowered. The first look
-- only notes it (p, at q). Numbers of the reply: sums before and after.
function ops.lower(out)
  local patience = num()
  while at < #ARGV do
    local p = { s = arg(), k = 'u', e = num() }
    local n = num()
    local c = count(p.s)
    local key = base .. ':c:' .. p.s
    local f = redis.call('HMGET', key, 'p', 'q')
    local was, when = tonumber(f[1] or 0), tonumber(f[2] or 0)
    out[#out + 1] = c.s
    if c.is and c.s > n then
      local due = when > 0 and now - when >= patience
      if due then c.s = max(n, c.s - max(0, min(c.s, was) - n)) end
      if due or when == 0 then redis.call('HSET', key, 'p', int(c.s), 'q', int(now)) end
      keep(c, p)
    elseif when > 0 then
      redis.call('HDEL', key, 'p', 'q')
    end
    out[#out + 1] = c.s
  end
  return 1
end

-- A cursor of the index. Numbers of the reply: the next cursor; then for each
-- count its suffix, h, u, s and whose it is, as strings.
function ops.status(out)
  local page = redis.call('SSCAN', base .. ':i', arg(), 'COUNT', 500)
  out[1] = page[1]
  for _, suffix in ipairs(page[2]) do
    local c = count(suffix)
    if not c.is then
      redis.call('SREM', base .. ':i', suffix)
    elseif c.m then
      for _, v in ipairs({ suffix, int(c.h), int(c.u), int(c.s), c.m }) do out[#out + 1] = v end
    end
  end
  return 1
end

reap()
local out = {}
local code = ops[ARGV[1]](out)
save()
return { code, now, raw, out, told }
