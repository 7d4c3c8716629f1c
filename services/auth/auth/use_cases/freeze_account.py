from uuid import UUID

from chassis.clock import Clock
from chassis.identity import current_caller
from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.errors import FreezeLinkExpired
from auth.domain.notices import NoticeEvent
from auth.domain.users import User
from auth.use_cases.crypto_ports import Tickets
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import Transactions, Users
from auth.use_cases.record_audit import RecordAudit
from auth.use_cases.revoke_api_keys import RevokeApiKeys

log = get_logger(__name__)


class FreezeAccount:
    """Closes an account, by the link in a mail or by its signed-in owner: sessions and API keys
    end, nobody signs in any more.

    A password set anew by a code to the mailbox opens it again. Whoever has the mailbox can close, so this asks nothing
    more: closing too much is mended in a minute, closing too late is not.
    """

    def __init__(
        self,
        *,
        users: Users,
        freeze_tickets: Tickets,
        revoke_api_keys: RevokeApiKeys,
        end_sessions: EndSessions,
        notify_owner: NotifyOwner,
        record_audit: RecordAudit,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._users = users
        self._freeze_tickets = freeze_tickets
        self._revoke_api_keys = revoke_api_keys
        self._end_sessions = end_sessions
        self._notify_owner = notify_owner
        self._record_audit = record_audit
        self._transactions = transactions
        self._clock = clock

    async def __call__(self, *, ticket: str) -> None:
        """`ticket` is the link's, empty where the caller is signed in. Raises NotSignedIn, FreezeLinkExpired."""
        user = await (self._of_link(ticket) if ticket else self._of_caller())
        now = self._clock.now()

        async def freeze() -> bool:
            if not await self._users.freeze(user.id, now):
                return False
            await self._record_audit(AuditAction.ACCOUNT_FROZEN, user_id=user.id)
            return True

        # Before, so that a process that dies half-way leaves no session and no key of a frozen account; after, for what
        # was opened or made in between. Also where it was frozen.
        await self._end_access(user.id)
        frozen = await self._transactions.run(freeze)
        await self._end_access(user.id)
        if frozen:
            self._notify_owner(user, NoticeEvent.ACCOUNT_FROZEN)
            log.info("Account frozen", event="account_frozen", account_id=str(user.id), by_link=bool(ticket))

    async def _end_access(self, user_id: UUID) -> None:
        await self._end_sessions(user_id, why="account_frozen")
        await self._revoke_api_keys.all_of(user_id, why="account_frozen")

    async def _of_caller(self) -> User:
        user = await self._users.by_id(UUID(current_caller().required_user()))
        if user is None:
            raise FreezeLinkExpired
        return user

    async def _of_link(self, ticket: str) -> User:
        user_id = self._freeze_tickets.user_of(ticket)
        user = await self._users.by_id(user_id) if user_id else None
        if user is None or not self._freeze_tickets.is_good(ticket, user, self._clock.now()):
            raise FreezeLinkExpired
        return user
