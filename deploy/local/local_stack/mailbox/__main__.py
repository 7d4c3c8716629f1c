"""`python -m local_stack.mailbox`."""

from datetime import UTC, datetime

import uvicorn

from local_stack.mailbox.api import build_mailbox
from local_stack.mailbox.settings import MailboxSettings
from local_stack.mailbox.store import MessageStore

if __name__ == "__main__":
    settings = MailboxSettings()
    application = build_mailbox(
        store=MessageStore(settings.mailbox_file),
        api_key=settings.sendgrid_api_key.get_secret_value(),
        now=lambda: datetime.now(UTC),
    )
    uvicorn.run(application, host=settings.mailbox_host, port=settings.mailbox_port, log_level="warning")
