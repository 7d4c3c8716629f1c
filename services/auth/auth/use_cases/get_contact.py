from uuid import UUID

from chassis.identity import current_caller

from auth.domain.errors import ServicesOnly, UserNotFound
from auth.domain.users import User
from auth.use_cases.ports import Users

ALLOWED_SERVICES = frozenset({"notifications"})  # who writes to people


class GetContact:
    """Where to reach a user; for the service that writes to people, and no one else."""

    def __init__(self, *, users: Users) -> None:
        self._users = users

    async def __call__(self, *, user_id: UUID) -> User:
        """Raises ServicesOnly, UserNotFound."""
        if current_caller().service not in ALLOWED_SERVICES:
            raise ServicesOnly
        user = await self._users.by_id(user_id)
        if user is None:
            raise UserNotFound
        return user
