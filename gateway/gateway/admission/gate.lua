-- Decides a batch of requests in one round trip: for each, is its session revoked, and do its limits allow it.
-- ARGV: number of requests, then per request: number of revocation keys, number of limit keys, until when its nonce is
-- remembered (Unix milliseconds; 0: it has none), and per limit key its interval and how many requests it counts for.
-- KEYS: what says that all revocations are here, then per request its revocation keys, its limit keys, its nonce.
-- Times are microseconds of this server's clock. A refused request spends nothing; that of a revoked session spends of
-- its first limit alone, which is its address's.
-- Answers per request: revoked (0 or 1; 2: not among those that are here, which are not all), number of the limit that refused (0: none), microseconds until it would not,
-- whether its nonce is new (0), was seen before (1) or is not remembered for so long (2), and per limit key how far its
-- arrival time lies ahead.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local now_milliseconds = math.floor(now / 1000)
local period = 60000000
-- Of a timestamp as far ahead as one may lie behind, and the 90 s after it. One further ahead could be taken by a
-- gateway whose clock is ahead, and again when its time has come and it is forgotten.
local nonce_milliseconds_max = 180000
local answer = {}
local key, argument = 2, 2
local not_revoked = 2 - 2 * redis.call('EXISTS', KEYS[1])
for _ = 1, tonumber(ARGV[1]) do
  local revocations, limits = tonumber(ARGV[argument]), tonumber(ARGV[argument + 1])
  local nonce_until = tonumber(ARGV[argument + 2])
  argument = argument + 3
  local revoked = 0
  if revocations > 0 then revoked = not_revoked end
  for _ = 1, revocations do
    if redis.call('EXISTS', KEYS[key]) == 1 then revoked = 1 end
    key = key + 1
  end
  local counted = limits
  if revoked == 1 then counted = math.min(limits, 1) end
  local refused, wait = 0, 0
  local arrivals, costs = {}, {}
  for limit = 1, limits do
    local interval, count = tonumber(ARGV[argument]), tonumber(ARGV[argument + 1])
    argument = argument + 2
    local arrival = math.max(tonumber(redis.call('GET', KEYS[key + limit - 1]) or 0), now)
    arrivals[limit], costs[limit] = arrival, interval * count
    local over = arrival + interval * count - now - period
    if limit <= counted and over > wait then refused, wait = limit, over end
  end
  answer[#answer + 1] = revoked
  answer[#answer + 1] = refused
  answer[#answer + 1] = wait
  local seen = 0
  -- Not taken by a request that is refused: its client may send it again.
  if nonce_until > 0 and refused == 0 and revoked ~= 1 then
    local left = nonce_until - now_milliseconds
    if left <= 0 or left > nonce_milliseconds_max then
      seen = 2
    elseif not redis.call('SET', KEYS[key + limits], '1', 'NX', 'PX', left) then
      seen = 1
    end
  end
  answer[#answer + 1] = seen
  for limit = 1, limits do
    local arrival = arrivals[limit]
    if refused == 0 and limit <= counted then
      arrival = arrival + costs[limit]
      local ahead = math.ceil((arrival - now) / 1000)
      if ahead > 0 then
        redis.call('SET', KEYS[key + limit - 1], string.format('%.0f', arrival), 'PX', ahead)
      end
    end
    answer[#answer + 1] = arrival - now
  end
  key = key + limits
  if nonce_until > 0 then key = key + 1 end
end
return answer
