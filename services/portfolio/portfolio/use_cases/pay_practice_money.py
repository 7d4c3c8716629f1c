"""Give a newly verified user money to practise with, once."""

from decimal import Decimal

from chassis.logs import get_logger

from portfolio.domain.holdings import CASH
from portfolio.use_cases.ports import Ledger

KIND = "practice_money"

log = get_logger(__name__)


class PayPracticeMoney:
    """Needs no memory of its own: the ledger takes each business key once, for ever."""

    def __init__(self, *, ledger: Ledger, amount: Decimal) -> None:
        self._ledger = ledger
        self._amount = amount

    async def __call__(self, user_id: str) -> None:
        """May be called any number of times.

        Raises:
            RemoteError: the exchange did not take it, or its answer was lost. Call again.
        """
        paid = await self._ledger.give(
            user_id, asset=CASH, amount=self._amount, business_key=f"practice:{user_id}", kind=KIND
        )
        if paid:
            log.info("Practice money paid", event="practice_money_paid", user_id=user_id, amount=str(self._amount))
