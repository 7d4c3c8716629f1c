"""The mailbox' settings."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class MailboxSettings(BaseSettings):
    """CRYPTOVAULT_MAILBOX_HOST, _PORT, _FILE, and the key that mails must carry: CRYPTOVAULT_SENDGRID_API_KEY."""

    model_config = SettingsConfigDict(env_prefix="CRYPTOVAULT_", frozen=True, hide_input_in_errors=True)

    # Loopback unless told otherwise: whoever can read it can sign in as anybody.
    mailbox_host: str = "127.0.0.1"
    mailbox_port: int = Field(ge=1, le=65_535)
    mailbox_file: Path
    sendgrid_api_key: SecretStr = Field(min_length=1)
