"""Which assets are priced, and what of that is refused at start."""

from decimal import Decimal
from typing import Any

import pytest
from chassis.settings import Profile
from market_data.domain.assets import ASSETS, Asset
from market_data.settings import FURTHER_ASSETS_MAX, Settings
from pydantic import ValidationError

TRON: dict[str, Any] = {
    "symbol": "TRX", "name": "TRON", "price_places": 5, "coingecko_id": "tron", "simulated_price": "0.25"
}  # fmt: skip


def settings(*further: dict[str, Any], **more: Any) -> Settings:
    return Settings(profile=Profile.TEST, further_assets=further, **more)


def test_further_assets_come_after_the_built_in_ones() -> None:
    told = settings(TRON)
    assert told.assets == (*ASSETS, Asset("TRX", "TRON", 5, "tron"))
    assert told.further_characters["TRX"].base_price == Decimal("0.25")
    assert settings().assets == tuple(ASSETS)


def test_they_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[{"symbol": "TRX", "name": "TRON", "price_places": 5, "simulated_price": "0.25"}]'
    monkeypatch.setenv("CRYPTOVAULT_FURTHER_ASSETS", text)
    assert [asset.symbol for asset in Settings(profile=Profile.TEST).assets][-1] == "TRX"


@pytest.mark.parametrize(
    "further",
    [
        [TRON, TRON],
        [{**TRON, "symbol": "BTC"}],
        [{**TRON, "symbol": "trx"}],
        [{**TRON, "symbol": "T"}],
        [{**TRON, "symbol": "TRX\n"}],
        [{**TRON, "name": ""}],
        [{**TRON, "price_places": 9}],
        [{**TRON, "simulated_price": "0"}],
        [{**TRON, "simulated_price": "-1"}],
        [{**TRON, "simulated_price": "NaN"}],
        [{**TRON, "simulated_price": None}],
        [{**TRON, "coingecko_id": "tron,bitcoin"}],
        [{**TRON, "scale": 8}],
        [{**TRON, "symbol": f"X{number}"} for number in range(FURTHER_ASSETS_MAX + 1)],
    ],
)
def test_what_no_source_could_price_is_refused_at_start(further: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        settings(*further)


def test_each_source_needs_its_own_name_for_an_asset() -> None:
    told = settings({**TRON, "simulated_price": None}, price_provider="coingecko")
    assert told.assets[-1].coingecko_id == "tron"
    with pytest.raises(ValidationError, match="coingecko_id"):
        settings({**TRON, "coingecko_id": ""}, price_provider="coingecko")
