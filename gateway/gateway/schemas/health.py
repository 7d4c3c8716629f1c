"""How the platform is."""

from typing import Literal

from gateway.schemas.fields import Moment, ReplyBody

State = Literal["ok", "degraded", "down"]


class CheckReport(ReplyBody):
    status: State
    duration_ms: float
    checked_at: Moment
    details: dict[str, str]


class Health(ReplyBody):
    status: State
    time: Moment
    checks: dict[Literal["database", "redis", "price_provider", "memory", "cpu"], CheckReport]


class Live(ReplyBody):
    status: Literal["ok"]
