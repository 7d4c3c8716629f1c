"""What a route demands of a request before it runs."""

from dataclasses import dataclass
from enum import StrEnum

# What is dear, by its permission: who uses one has shown a second factor in the last five minutes (decision 0104). It
# moves money out of an account, makes what will, or gives somebody power over others'.
STEP_UP_PERMISSIONS = frozenset(
    {
        "adjustments:approve",
        "adjustments:propose",
        "api-keys:write",
        "users:write",
        "wallet:transfer",
        "wallet:withdraw",
        "withdrawals:approve",
    }
)


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
    # A second factor, shown within the last five minutes. A key has shown it when it was made, for what its scopes say.
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
