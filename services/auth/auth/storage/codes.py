"""One-time codes in Redis. Flushing it kills every live code, so it gives no guesser a fresh start."""

from redis.asyncio import Redis

from auth.domain.email_address import EmailAddress
from auth.domain.one_time_codes import (
    CODE_LIFETIME,
    SEND_LIMITS,
    TRIES_MAX,
    CodeCheck,
    CodePurpose,
    CodeVerdict,
)
from auth.storage.redis_errors import redis_errors

# One step for Redis: no two guesses are ever counted as one, and none is judged after the last.
_CHECK = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {'missing', 0} end
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
local left = tonumber(ARGV[2]) - tries
if left < 0 then return {'exhausted', 0} end
if redis.call('HGET', KEYS[1], 'digest') == ARGV[1] then
  redis.call('DEL', KEYS[1])
  return {'accepted', 0}
end
return {'wrong', left}
"""
_PUT = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'tries', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_REPLACE = """
if redis.call('HGET', KEYS[1], 'digest') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'digest', ARGV[2])
return 1
"""
# Refused sends do not count, else impatience would close an address for ever.
_TAKE = """
local sent = tonumber(redis.call('GET', KEYS[1]) or '0')
if sent >= tonumber(ARGV[1]) then return redis.call('PTTL', KEYS[1]) end
redis.call('INCR', KEYS[1])
if sent == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""


class RedisCodes:
    """`cryptovault:otp:{email}` (for sign-up; other purposes name themselves), a hash of digest and tries."""

    def __init__(self, redis: Redis) -> None:
        self._put = redis.register_script(_PUT)
        self._replace = redis.register_script(_REPLACE)
        self._check = redis.register_script(_CHECK)

    async def put(self, purpose: CodePurpose, email: EmailAddress, digest: str) -> None:
        with redis_errors():
            await self._put(
                keys=[_key("otp", purpose, email)], args=[digest, _milliseconds(CODE_LIFETIME.total_seconds())]
            )

    async def replace(self, purpose: CodePurpose, email: EmailAddress, *, before: str, after: str) -> bool:
        with redis_errors():
            return bool(await self._replace(keys=[_key("otp", purpose, email)], args=[before, after]))

    async def check(self, purpose: CodePurpose, email: EmailAddress, digest: str) -> CodeCheck:
        with redis_errors():
            verdict, tries_left = await self._check(keys=[_key("otp", purpose, email)], args=[digest, TRIES_MAX])
        return CodeCheck(CodeVerdict(verdict.decode()), int(tries_left))


class RedisCodeLimits:
    """`cryptovault:otp-sends:{email}` (other purposes than sign-up name themselves), a counter per window."""

    def __init__(self, redis: Redis) -> None:
        self._take = redis.register_script(_TAKE)

    async def seconds_to_wait(self, purpose: CodePurpose, email: EmailAddress) -> int:
        limit = SEND_LIMITS[purpose]
        key = _key("otp-sends", purpose, email)
        with redis_errors():
            wait = int(await self._take(keys=[key], args=[limit.mails, _milliseconds(limit.window.total_seconds())]))
        return -(-wait // 1000)


def _key(kind: str, purpose: CodePurpose, email: EmailAddress) -> str:
    whose = email if purpose is CodePurpose.VERIFY_EMAIL else f"{purpose}:{email}"
    return f"cryptovault:{kind}:{whose}"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
