from uuid import UUID

from chassis.identity import NotSignedIn, current_caller

from auth.domain.users import User
from auth.use_cases.ports import Users


class GetUser:
    """The caller's own profile."""

    def __init__(self, *, users: Users) -> None:
        self._users = users

    async def __call__(self) -> User:
        """Raises NotSignedIn; also where the account is gone."""
        user = await self._users.by_id(UUID(current_caller().required_user()))
        if user is None:
            raise NotSignedIn
        return user
