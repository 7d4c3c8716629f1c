"""Everything the gateway can be told, read once at start."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from chassis.settings import Profile, ServiceSettings
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from gateway.admission.redis_options import RedisOptions

# Production's rates are for people and their programs; a developer's machine is one address doing everything.
_LIMIT_FACTORS: Mapping[Profile, int] = {
    Profile.PRODUCTION: 1,
    Profile.LOCAL: 10,
    Profile.TEST: 10,
    Profile.BENCH: 100_000,
}
_CONNECTION_FACTORS: Mapping[Profile, int] = {
    Profile.PRODUCTION: 1,
    Profile.LOCAL: 10,
    Profile.TEST: 10,
    Profile.BENCH: 500,
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """Requests per minute; as many may come at once, then they are given back evenly. 0: no limit of that kind."""

    per_address: int
    per_user: int = 0
    # Beside its user's: so that one program which runs away leaves something to the others, and to the person.
    per_key: int = 0

    def times(self, factor: int) -> Self:
        return replace(
            self,
            per_address=self.per_address * factor,
            per_user=self.per_user * factor,
            per_key=self.per_key * factor,
        )


class GatewaySettings(ServiceSettings):
    """Rates are production's; the profile multiplies them."""

    listen: str = Field(default="127.0.0.1:18000", pattern=r"^[^\s:]*:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")
    auth_address: str = "127.0.0.1:18010"
    # Of all replicas, separated by commas: who leads is found out.
    trading_address: str = "127.0.0.1:18011"
    trading_queries_address: str = "127.0.0.1:18012"
    market_data_address: str = "127.0.0.1:18013"
    portfolio_address: str = "127.0.0.1:18014"

    # As auth's.
    issuer: str = Field(default="http://127.0.0.1:18000", min_length=1)
    audience: str = Field(default="cryptovault", min_length=1)
    jwt_algorithm: Literal["Ed25519", "HS256"] = "Ed25519"
    # Shared with auth, for HS256.
    jwt_secret: SecretStr | None = None

    # How often auth's keys are asked for: so soon are the tokens of one that was taken back refused.
    signing_keys_seconds: float = Field(default=60.0, gt=0)

    # Exact origins, such as "https://app.example.com"; comma-separated in the environment.
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    # Networks whose X-Forwarded-For is believed. Nobody by default: an address anybody can write limits nobody.
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    mailbox_url: str | None = None
    # The folder of the built web app (web/dist). Without it, or without an app in it, there is only the API.
    web_root: Path | None = None

    limit_auth_per_address: int = Field(default=20, ge=1)
    limit_session_per_address: int = Field(default=240, ge=1)
    limit_trading_per_address: int = Field(default=2_400, ge=1)
    limit_trading_per_user: int = Field(default=600, ge=1)
    limit_trading_per_key: int = Field(default=400, ge=1)
    limit_account_per_address: int = Field(default=2_400, ge=1)
    limit_account_per_user: int = Field(default=600, ge=1)
    limit_account_per_key: int = Field(default=400, ge=1)
    limit_market_data_per_address: int = Field(default=1_200, ge=1)
    # By hand: what an operator's stolen session changes in a minute is bounded too.
    limit_admin_per_address: int = Field(default=600, ge=1)
    limit_admin_per_user: int = Field(default=300, ge=1)
    # Instead of the profile's factor.
    limit_factor: int | None = Field(default=None, ge=1)

    # A full disk queue or a busy machine holds Redis up for seconds: who signs in waits so long before being refused.
    sign_in_patience_seconds: float = Field(default=4.0, ge=0)
    # At work at once. Above 7/10 of it reads are told to come again, above 9/10 orders, cancels only above all of it.
    requests_in_flight_max: int = Field(default=1_024, ge=1)
    connections_max: int = Field(default=20_000, ge=1)
    # A browser opens six; an office behind one address has a few dozen people.
    connections_per_address_max: int = Field(default=256, ge=1)
    sockets_per_address_max: int = Field(default=20, ge=1)
    socket_outbox_messages_max: int = Field(default=1_000, ge=8)
    price_cadence_seconds: float = Field(default=0.1, gt=0)
    market_cadence_seconds: float = Field(default=0.25, gt=0)  # of the channel `trades`; a book's is the exchange's
    # How long a stopping gateway lets running requests end.
    stop_seconds: int = Field(default=4, ge=1, le=4)

    @field_validator("redis_url")
    @classmethod
    def _redis_can_be_spoken_to(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            RedisOptions.read(url.get_secret_value())
        return url

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in {"http", "https"}
                or not parts.netloc
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError(f"{origin!r} is no exact origin such as https://app.example.com")
        return origins

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks

    @model_validator(mode="after")
    def _mailbox_only_in_a_playground(self) -> Self:
        if self.mailbox_url is not None and not self.profile.is_playground:
            raise ValueError("mailbox_url is allowed in the local, bench and test profiles only")
        return self

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(network) for network in self.trusted_proxies)

    @property
    def sockets_per_address(self) -> int:
        return self.sockets_per_address_max * _CONNECTION_FACTORS[self.profile]

    @property
    def connections_per_address(self) -> int:
        return self.connections_per_address_max * _CONNECTION_FACTORS[self.profile]

    def allowances(self) -> dict[str, Allowance]:
        """By name of the class of endpoints."""
        factor = self.limit_factor or _LIMIT_FACTORS[self.profile]
        rates = {
            "auth": Allowance(per_address=self.limit_auth_per_address),
            "session": Allowance(per_address=self.limit_session_per_address),
            "trading": Allowance(
                per_address=self.limit_trading_per_address,
                per_user=self.limit_trading_per_user,
                per_key=self.limit_trading_per_key,
            ),
            "account": Allowance(
                per_address=self.limit_account_per_address,
                per_user=self.limit_account_per_user,
                per_key=self.limit_account_per_key,
            ),
            "market_data": Allowance(per_address=self.limit_market_data_per_address),
            # No key's scope reaches there.
            "admin": Allowance(per_address=self.limit_admin_per_address, per_user=self.limit_admin_per_user),
        }
        return {name: rate.times(factor) for name, rate in rates.items()}
