"""What a route demands of a request before it runs."""

from dataclasses import dataclass
from enum import StrEnum


class LimitClass(StrEnum):
    AUTH = "auth"  # guesses passwords and codes: few, and none at all without Redis
    SESSION = "session"  # refresh, log out
    TRADING = "trading"
    ACCOUNT = "account"  # private reads
    MARKET_DATA = "market_data"
    ADMIN = "admin"  # what operators see and change

    @property
    def fails_closed(self) -> bool:
        """Without Redis nobody counts guesses across gateways."""
        return self is LimitClass.AUTH


class Access(StrEnum):
    PUBLIC = "public"
    # Whoever is signed in is known, whoever is not may come in too.
    OPTIONAL = "optional"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Policy:
    access: Access
    # None: not limited, for what supervisors ask.
    limit: LimitClass | None
    # By name, as auth's roles grant it; None: being signed in is enough, for what people do about their own account.
    permission: str | None = None
    # A second factor, shown within the last five minutes.
    step_up: bool = False
    # Only for requests that an API key has signed.
    by_key_only: bool = False

    def __post_init__(self) -> None:
        if self.permission is not None and self.access is not Access.USER:
            raise ValueError("only the signed-in have permissions")
        if self.step_up and self.access is not Access.USER:
            raise ValueError("only the signed-in can show a second factor")
        if self.by_key_only and self.permission is None:
            raise ValueError("a key may do what a permission says, nothing else")
