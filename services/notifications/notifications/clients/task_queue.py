"""Orders to our own worker, by name, through Celery."""

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from celery import Celery
from chassis.errors import Unavailable
from kombu.exceptions import OperationalError

SEND_CODE = "notifications.send_code"
SEND_NOTICE = "notifications.send_notice"
SEND_MAIL = "notifications.send_mail"
SEND_MAILS = "notifications.send_mails"
SWEEP = "notifications.sweep"

# Mails in one task. They are sent at the same time, and what a worker that dies had sent of them is sent again.
PORTION_MAX = 10


class QueueUnavailable(Unavailable):
    """The broker did not confirm the task; it may have it all the same."""

    reason = "task_queue_unavailable"

    def __init__(self) -> None:
        super().__init__("The task queue does not answer.")


class CeleryTaskQueue:
    """Returns once the broker has the task on disk."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    async def send_code(self, mail_id: str, sealed: str, *, expires_at: datetime, delay_seconds: float = 0) -> None:
        # The broker itself drops the task when the code expires.
        await self._send(SEND_CODE, {"mail_id": mail_id, "sealed": sealed}, delay_seconds, expires=expires_at)

    async def send_notice(self, mail_id: str) -> None:
        await self._send(SEND_NOTICE, {"mail_id": mail_id}, 0)

    async def send_mail(self, mail_id: str, *, delay_seconds: float = 0) -> None:
        await self._send(SEND_MAIL, {"mail_id": mail_id}, delay_seconds)

    async def send_mails(self, mail_ids: Sequence[str]) -> None:
        for begin in range(0, len(mail_ids), PORTION_MAX):
            await self._send(SEND_MAILS, {"mail_ids": list(mail_ids[begin : begin + PORTION_MAX])}, 0)

    async def _send(self, name: str, arguments: dict[str, Any], delay_seconds: float, **options: Any) -> None:
        if delay_seconds > 0:
            # Whole seconds are the finest that the delay queues know.
            options["countdown"] = math.ceil(delay_seconds)
        try:
            # kombu blocks; a thread keeps the loop free.
            await asyncio.to_thread(
                self._app.send_task,
                name,
                kwargs=arguments,
                # Arguments are in the message's headers too, in clear text as far as they are: keep them out.
                argsrepr="()",
                kwargsrepr="{}",
                **options,
            )
        except (OperationalError, OSError) as error:
            raise QueueUnavailable from error
