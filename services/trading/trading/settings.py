"""Settings of the trading processes."""

from chassis.settings import ServiceSettings
from pydantic import Field, SecretStr

from trading.domain.state import Limits
from trading.sequencer.lease import LEASE_SECONDS


class JournalSettings(ServiceSettings):
    """Of every process that reads or writes the journal."""

    # A server of the journal's own: what else the database does then takes no time from an append. Not set: the
    # service's database holds the journal too.
    journal_url: SecretStr | None = None


class TradingSettings(JournalSettings):
    """Of `python -m trading`: any number of them, of which one leads."""

    listen: str = Field(default="127.0.0.1:18011", pattern=r"^[^\s:]*:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")
    market_data_address: str = "127.0.0.1:18013"
    # Memory holds the keys of this many batches, but no more than so many keys; the projection knows all others.
    remembered_batches: int = Field(default=Limits().remembered_batches, ge=1)
    remembered_keys: int = Field(default=Limits().remembered_keys, ge=1)

    # How long the others wait for a leader that says nothing. The same for all of them.
    lease_seconds: float = Field(default=LEASE_SECONDS, ge=0.5, le=60)

    @property
    def limits(self) -> Limits:
        return Limits(remembered_batches=self.remembered_batches, remembered_keys=self.remembered_keys)


class CommandLineSettings(JournalSettings):
    """Of `cryptovault exchange`, which serves nothing. The same databases as the exchange's."""

    listen: str = "127.0.0.1:0"
    log_level: str = Field(default="WARNING", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")


class ProjectorSettings(JournalSettings):
    """Of `python -m trading.projector`. The same database as the leader's."""

    # Of all replicas, separated by commas: who leads is found out. Asked to freeze what does not add up.
    trading_address: str = "127.0.0.1:18011"
    reconcile_seconds: float = Field(default=60.0, gt=0)  # what moved
    reconcile_all_seconds: float = Field(default=3_600.0, gt=0)
    listen: str = Field(default="127.0.0.1:18012", pattern=r"^[^\s:]*:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")

    # Older batches move to the archive, once they are behind every snapshot that is kept.
    journal_retention_days: float = Field(default=30.0, ge=0)

    @property
    def service_name(self) -> str:
        return "trading-projector"
