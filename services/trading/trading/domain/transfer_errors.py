"""Why the ledger says no."""

from chassis.errors import ErrorKind

from trading.domain.errors import Rejection


class InvalidTransfer(Rejection):
    """Out of balance, empty, zero, doubled, with an unknown owner, against the rules of its kind, or nobody's."""

    kind = ErrorKind.INVALID
    reason = "invalid_transfer"

    def __init__(self, message: str, *, rule: str, **details: str) -> None:
        super().__init__(message, rule=rule, **details)


class BusinessKeyReused(Rejection):
    kind = ErrorKind.CONFLICT
    reason = "business_key_reused"

    def __init__(self, *, business_key: str) -> None:
        super().__init__("This business key belongs to another transfer.", business_key=business_key)


class TransferNotFound(Rejection):
    """No transfer was ever held under that key."""

    kind = ErrorKind.NOT_FOUND
    reason = "transfer_not_found"

    def __init__(self, *, hold_key: str) -> None:
        super().__init__("There is no such held transfer.", hold_key=hold_key)


class TransferAlreadyPosted(Rejection):
    kind = ErrorKind.CONFLICT
    reason = "transfer_already_posted"

    def __init__(self, *, hold_key: str) -> None:
        super().__init__("This transfer was posted; its hold is used up.", hold_key=hold_key)


class TransferAlreadyVoided(Rejection):
    kind = ErrorKind.CONFLICT
    reason = "transfer_already_voided"

    def __init__(self, *, hold_key: str) -> None:
        super().__init__("This transfer was voided; its hold was given back.", hold_key=hold_key)


class TransferExpired(Rejection):
    kind = ErrorKind.CONFLICT
    reason = "transfer_expired"

    def __init__(self, *, hold_key: str) -> None:
        super().__init__("The hold of this transfer has expired.", hold_key=hold_key)


class TooManyPendingTransfers(Rejection):
    reason = "too_many_pending_transfers"

    def __init__(self, *, limit: int, given: int) -> None:
        super().__init__(
            f"At most {limit} transfers may be pending at once.",
            rule="max_pending_transfers", limit=str(limit), given=str(given),
        )  # fmt: skip


class AssetIsFrozen(Rejection):
    """The ledger's books did not add up for this asset; nothing leaves and nothing trades until somebody has looked."""

    reason = "asset_frozen"

    def __init__(self, *, asset: str) -> None:
        super().__init__(f"{asset} is frozen for now: withdrawals and trading have stopped.", asset=asset)


class FreezeNotExplained(Rejection):
    """Who freezes or unfreezes an asset says why, with a name."""

    kind = ErrorKind.INVALID
    reason = "freeze_not_explained"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message, field=field, rule="required")
