from typing import Self

from chassis.settings import ServiceSettings
from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, field_validator, model_validator

PLAYGROUND_SENDER = "no-reply@cryptovault.example"  # a reserved name (RFC 2606): it can reach nobody


class Settings(ServiceSettings):
    """Settings of notifications, service and worker, read from CRYPTOVAULT_ variables. No secret has a default."""

    listen: str = "127.0.0.1:18015"
    auth_address: str = "127.0.0.1:18010"
    trading_queries_address: str = "127.0.0.1:18012"

    # 32 bytes in URL-safe base64; seals codes on their way to the worker. Changing it voids the codes under way.
    code_key: SecretStr
    sendgrid_url: str = Field(default="https://api.sendgrid.com", pattern=r"^https?://\S+$")
    sendgrid_api_key: SecretStr | None = None
    mail_from: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$")
    mail_from_name: str = Field(default="CryptoVault", min_length=1, max_length=80)

    # What is filled for one person within so long is told in one mail; 0 sends each at once. Short of what the sweep
    # takes for lost.
    order_mails_gather_seconds: float = Field(default=10.0, ge=0, le=60)

    @property
    def sender(self) -> str:
        """Whom mails come from. Raises MissingSetting in production where it is not set."""
        return self.mail_from or (PLAYGROUND_SENDER if self.profile.is_playground else self.required("mail_from"))

    @field_validator("code_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        try:
            Fernet(value.get_secret_value())
        except ValueError:
            # Its own message would show the value.
            raise ValueError("must be 32 bytes in URL-safe base64") from None
        return value

    @model_validator(mode="after")
    def _encrypted_where_real(self) -> Self:
        if not self.profile.is_playground and not self.sendgrid_url.startswith("https://"):
            raise ValueError("CRYPTOVAULT_SENDGRID_URL must be https outside the profiles local, bench and test")
        return self
