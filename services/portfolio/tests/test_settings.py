from decimal import Decimal

import pytest
from chassis.settings import load_settings
from portfolio.settings import Settings


@pytest.mark.parametrize("profile", ["local", "bench", "test"])
def test_practice_money_is_for_playgrounds(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    monkeypatch.setenv("CRYPTOVAULT_PROFILE", profile)
    monkeypatch.setenv("CRYPTOVAULT_PRACTICE_MONEY", "10000")
    assert load_settings(Settings).practice_money == Decimal(10000)


@pytest.mark.parametrize("profile", ["production", ""])
def test_a_real_platform_does_not_start_with_practice_money(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    monkeypatch.setenv("CRYPTOVAULT_PROFILE", profile)
    monkeypatch.setenv("CRYPTOVAULT_PRACTICE_MONEY", "10000")
    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert "CRYPTOVAULT_PRACTICE_MONEY is allowed in the profiles local, bench and test only" in capsys.readouterr().err


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "1e4", "1_000"])
def test_practice_money_is_an_amount_above_zero(monkeypatch: pytest.MonkeyPatch, amount: str) -> None:
    monkeypatch.setenv("CRYPTOVAULT_PROFILE", "local")
    monkeypatch.setenv("CRYPTOVAULT_PRACTICE_MONEY", amount)
    with pytest.raises(SystemExit):
        load_settings(Settings)


def test_the_service_and_its_database_are_named_after_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(Settings)
    assert (settings.service_name, settings.database_name) == ("portfolio", "portfolio")
