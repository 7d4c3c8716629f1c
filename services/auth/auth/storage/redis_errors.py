from collections.abc import Iterator
from contextlib import contextmanager

from chassis.errors import Unavailable
from redis.exceptions import RedisError


@contextmanager
def redis_errors() -> Iterator[None]:
    """Without Redis no code can be stored or judged: the caller hears so, and nothing is let through."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable("Codes and sessions cannot be checked right now.") from error
