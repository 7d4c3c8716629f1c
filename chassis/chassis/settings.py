"""Settings every service has. Read from the environment once, at start; frozen after."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.trust.service_keys import read_private_keys, read_public_keys

ENVIRONMENT_PREFIX = "CRYPTOVAULT_"
EXIT_BAD_SETTINGS = 78  # EX_CONFIG of sysexits.h: a supervisor can tell it from a crash


class Profile(StrEnum):
    LOCAL = "local"  # one machine, `make run`
    BENCH = "bench"  # the same, with rate limits raised for load from one address
    TEST = "test"
    PRODUCTION = "production"

    @property
    def is_playground(self) -> bool:
        """True where practice money and built-in secrets are allowed: nothing there is worth anything."""
        return self is not Profile.PRODUCTION


class MissingSetting(Exception):
    """A setting this service needs is not set. Names the environment variable."""

    def __init__(self, field: str) -> None:
        self.variable = f"{ENVIRONMENT_PREFIX}{field.upper()}"
        super().__init__(f"{self.variable} is not set")


class ServiceSettings(BaseSettings):
    """Base of each service's one settings class. Backends are optional here: who uses one asks `required`."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    # Production unless told otherwise: a forgotten variable must never switch a guard off.
    profile: Profile = Profile.PRODUCTION
    # URLs carry passwords, so they are secrets.
    mongo_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    amqp_url: SecretStr | None = None
    # How long one command may take. For a cache, longer than this is no gain; a service that needs Redis waits longer.
    redis_timeout_seconds: float = Field(default=1.0, gt=0, le=30)
    listen: str = Field(pattern=r"^[^\s:]*:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")
    metrics_port: int = Field(default=0, ge=0, le=65535)
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")
    bus_namespace: str = ""
    mongo_database: str | None = None
    otlp_endpoint: str | None = None
    crash_point: str | None = None
    # This service's X25519 private key, and everybody's public ones: `auth:<Base64>,gateway:<Base64>,...`.
    service_key: SecretStr | None = None
    service_public_keys: str | None = None
    # PEM files. With all three, services speak mutual TLS; the certificate names its service as a DNS name.
    tls_authority_file: Path | None = None
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None

    @field_validator("service_key")
    @classmethod
    def _has_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            read_private_keys(value.get_secret_value())
        return value

    @field_validator("service_public_keys")
    @classmethod
    def _has_public_keys(cls, value: str | None) -> str | None:
        if value is not None:
            read_public_keys(value)
        return value

    @model_validator(mode="after")
    def _tls_whole_or_not_at_all(self) -> Self:
        files = (self.tls_authority_file, self.tls_certificate_file, self.tls_key_file)
        if any(files) and not all(files):
            raise ValueError("tls_authority_file, tls_certificate_file and tls_key_file are set together")
        return self

    @model_validator(mode="after")
    def _crash_points_only_in_tests(self) -> Self:
        if self.crash_point is not None and self.profile is not Profile.TEST:
            raise ValueError("crash_point is allowed in the test profile only")
        return self

    @property
    def service_name(self) -> str:
        """The service as others know it, such as `market-data`. A second process of a service overrides it."""
        return self._package.replace("_", "-")

    @property
    def database_name(self) -> str:
        """The service's own Mongo database."""
        return self.mongo_database or self._package

    @property
    def _package(self) -> str:
        return type(self).__module__.partition(".")[0]

    def required(self, field: str) -> str:
        """The plain text of an optional or secret setting; MissingSetting where it is not set."""
        value = getattr(self, field)
        if value is None:
            raise MissingSetting(field)
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def load_settings(settings_type: type[SettingsT]) -> SettingsT:
    """Read the environment; where it is not right, say so in one line on stderr and end the process."""
    try:
        return settings_type()
    except ValidationError as error:
        refuse_to_start(
            "; ".join(_sentence(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors())
        )


def refuse_to_start(reason: str) -> NoReturn:
    sys.stderr.write(f"refusing to start: {reason}\n")
    raise SystemExit(EXIT_BAD_SETTINGS)


def _sentence(location: tuple[int | str, ...], kind: str, message: str) -> str:
    if not location:
        return message.removeprefix("Value error, ")
    variable = f"{ENVIRONMENT_PREFIX}{'_'.join(str(part) for part in location).upper()}"
    return f"{variable} is not set" if kind == "missing" else f"{variable}: {message}"
