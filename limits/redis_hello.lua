-- A process says that it lives, and hears how many do, and whether the store
-- still is the one that it knows.
--
-- KEYS are the living processes and the epoch; ARGV is the process, the seconds
-- that one counts as living, an epoch for a store that has none, and the
-- milliseconds that an epoch is kept. The reply is the epoch, 1 where it is
-- new, the number of the living, and the time in microseconds.
local t = redis.call('TIME')
local now = tonumber(t[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], 60)
local new = redis.call('SET', KEYS[2], ARGV[3], 'NX') and 1 or 0
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return { redis.call('GET', KEYS[2]), new, redis.call('ZCARD', KEYS[1]), now * 1000000 + t[2] }
