from datetime import timedelta
from functools import partial

from chassis.clock import Clock
from chassis.identity import current_caller
from chassis.ids import Ids
from chassis.logs import get_logger

from auth.domain.errors import TooBusy
from auth.domain.notices import NoticeEvent
from auth.domain.one_time_codes import CodePurpose
from auth.domain.users import User
from auth.use_cases.crypto_ports import Tickets
from auth.use_cases.ports import CodeMessage, Courier, Errands

KEPT_FOR = timedelta(days=1)  # a notice that could not be sent for so long tells of the past

# Where the owner may find that it was not them.
WITH_LINK = frozenset(
    {
        NoticeEvent.API_KEY_CREATED,
        NoticeEvent.NEW_DEVICE,
        NoticeEvent.PASSWORD_CHANGED,
        NoticeEvent.RECOVERY_CODE_USED,
        NoticeEvent.RECOVERY_CODES_RENEWED,
        NoticeEvent.SESSION_COPIED,
        NoticeEvent.TWO_FACTOR_DISABLED,
        NoticeEvent.TWO_FACTOR_ENABLED,
    }
)

log = get_logger(__name__)


class NotifyOwner:
    """Tells an account's owner by mail what happened to it, after the reply: what is told must not show in its time."""

    def __init__(
        self,
        *,
        courier: Courier,
        errands: Errands,
        freeze_tickets: Tickets,
        freeze_page: str,
        clock: Clock,
        ids: Ids,
    ) -> None:
        """`freeze_page` is the address that the link of a notice leads to."""
        self._courier = courier
        self._freeze_tickets = freeze_tickets
        self._freeze_page = freeze_page
        self._errands = errands
        self._clock = clock
        self._ids = ids

    def __call__(self, user: User, event: NoticeEvent, *, device: str = "", subject: str = "") -> None:
        """Never raises: what happened has happened, and its record does not hang on a mail."""
        now = self._clock.now()
        message = CodeMessage(
            message_id=self._ids.new(),
            user_id=user.id,
            email=user.email,
            name=user.name,
            # It ends the link, after a #, so that it reaches no server's log.
            code=self._freeze_tickets.issue(user, now) if event in WITH_LINK else "",
            purpose=CodePurpose.SECURITY_NOTICE,
            expires_at=now + KEPT_FOR,
            facts={
                "event": event.value,
                "time": now.strftime("%Y-%m-%d %H:%M UTC"),
                "address": current_caller().address or "",
                "device": device,
                "subject": subject,
                "link": self._freeze_page if event in WITH_LINK else "",
            },
        )
        try:
            self._errands.hand_over("send_notice", partial(self._courier.send, message))
        except TooBusy:
            log.warning("Notice dropped", event="notice_dropped", account_id=str(user.id), notice=event.value)
