from uuid import UUID

from auth.domain.errors import UserNotFound
from auth.domain.users import User
from auth.use_cases.ports import Users


class GetContact:
    """Where to reach a user; for the service that writes to people."""

    def __init__(self, *, users: Users) -> None:
        self._users = users

    async def __call__(self, *, user_id: UUID) -> User:
        """Raises UserNotFound."""
        user = await self._users.by_id(user_id)
        if user is None:
            raise UserNotFound
        return user
