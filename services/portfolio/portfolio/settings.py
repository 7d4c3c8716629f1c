"""What portfolio can be told at start, by environment variables with the prefix CRYPTOVAULT_."""

from decimal import Decimal
from typing import Annotated, Self

from chassis.settings import ServiceSettings
from pydantic import BeforeValidator, model_validator

from portfolio.domain.exact import MalformedAmount, parse_amount


def _dollars(value: object) -> Decimal:
    # Pydantic's own Decimal takes `1_000` and Arabic digits; money has one way to be written.
    if isinstance(value, Decimal):
        return value
    try:
        return parse_amount(str(value))
    except MalformedAmount as error:
        raise ValueError(str(error)) from error


class Settings(ServiceSettings):
    listen: str = "127.0.0.1:18014"
    # Of all replicas, separated by commas: who leads is found out.
    trading_address: str = "127.0.0.1:18011"
    trading_queries_address: str = "127.0.0.1:18012"
    market_data_address: str = "127.0.0.1:18013"
    # USD for each newly verified user, out of thin air; absent: none.
    practice_money: Annotated[Decimal, BeforeValidator(_dollars)] | None = None

    @model_validator(mode="after")
    def _practice_money_only_where_nothing_is_real(self) -> Self:
        if self.practice_money is None:
            return self
        if not self.profile.is_playground:
            raise ValueError("CRYPTOVAULT_PRACTICE_MONEY is allowed in the profiles local, bench and test only")
        if self.practice_money <= 0:
            raise ValueError("CRYPTOVAULT_PRACTICE_MONEY must be above zero")
        return self
