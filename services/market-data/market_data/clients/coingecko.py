"""CoinGecko's `/coins/markets` (https://docs.coingecko.com/reference/coins-markets) as a source of prices."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from chassis.clock import Clock
from chassis.logs import get_logger

from market_data.domain.assets import Asset
from market_data.domain.price import Quote
from market_data.use_cases.ports import ProviderUnavailable

log = get_logger(__name__)

# Twenty coins are 15 kB; an answer above this is not theirs.
ANSWER_BYTES_MAX: Final = 1_048_576
# The whole exchange. A poll comes once a minute and nobody waits for it.
FETCH_SECONDS_MAX: Final = 10.0
CONNECT_SECONDS_MAX: Final = 3.0
# No coin is worth a trillion dollars, none trades more than that a day; beyond is a broken answer, not news.
AMOUNT_MAX: Final = Decimal(10) ** 15
# Their clock and ours may differ a little; a time further ahead would make an old price look fresh.
CLOCK_SKEW_SECONDS_MAX: Final = 5.0


class CoinGeckoProvider:
    """All assets in one call. Prices keep the digits of the answer up to our price places: no float touches them."""

    source: Final = "coingecko"

    def __init__(self, *, client: httpx.AsyncClient, assets: Sequence[Asset], clock: Clock) -> None:
        """`client` carries the base URL and the key header; see `coingecko_client`."""
        self._client = client
        self._assets = {asset.coingecko_id: asset for asset in assets}
        self._clock = clock

    async def fetch(self) -> Sequence[Quote]:
        """The quotes of the coins that CoinGecko prices, theirs to leave out. Raises ProviderUnavailable."""
        try:
            async with asyncio.timeout(FETCH_SECONDS_MAX):
                body = await self._ask()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise ProviderUnavailable("CoinGecko did not answer in time.") from error
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"CoinGecko cannot be reached: {type(error).__name__}.") from error
        quotes = self._read(body)
        if not quotes:
            raise ProviderUnavailable("CoinGecko's answer prices none of our assets.")
        return quotes

    async def _ask(self) -> bytes:
        query = {"vs_currency": "usd", "ids": ",".join(self._assets), "per_page": "250", "precision": "full"}
        async with self._client.stream("GET", "coins/markets", params=query) as response:
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
                wait_seconds = _retry_after_seconds(response.headers.get("Retry-After"), now=self._clock.now())
                raise ProviderUnavailable("CoinGecko's rate limit is reached.", retry_after_seconds=wait_seconds)
            if response.status_code != httpx.codes.OK:
                raise ProviderUnavailable(f"CoinGecko answered with status {response.status_code}.")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise ProviderUnavailable("CoinGecko's answer is too long.")
            return bytes(body)

    def _read(self, body: bytes) -> list[Quote]:
        try:
            # Tokens become decimals as they are written; NaN and Infinity, which JSON does not have, are refused.
            rows = json.loads(body, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
        except (ValueError, RecursionError, InvalidOperation) as error:
            raise ProviderUnavailable("CoinGecko's answer is not JSON.") from error
        if not isinstance(rows, list):
            raise ProviderUnavailable("CoinGecko's answer is not a list of coins.")
        quotes: dict[str, Quote] = {}
        for row in rows:
            asset = self._assets.get(str(row.get("id"))) if isinstance(row, dict) else None
            if asset is None:
                continue
            try:
                quotes[asset.symbol] = self._quote(asset, row)
            except ValueError as error:
                # One coin they cannot price is no reason to lose the others.
                log.warning("A coin's price was refused", event="quote_refused", symbol=asset.symbol, rule=str(error))
        return list(quotes.values())

    def _quote(self, asset: Asset, row: dict[str, object]) -> Quote:
        price = asset.rounded(_amount(row, "current_price"))
        if price <= 0:
            raise ValueError("current_price must round to more than zero")
        source_time = _time(row.get("last_updated"))
        if (source_time - self._clock.now()).total_seconds() > CLOCK_SKEW_SECONDS_MAX:
            raise ValueError("last_updated is ahead of our clock")
        return Quote(
            symbol=asset.symbol,
            price=price,
            change_24h=_amount(row, "price_change_percentage_24h", signed=True).quantize(Decimal("0.01")),
            high_24h=max(asset.rounded(_amount(row, "high_24h")), price),
            low_24h=min(asset.rounded(_amount(row, "low_24h")), price),
            volume_24h=_amount(row, "total_volume").quantize(Decimal(1)),
            source_time=source_time,
        )


def coingecko_client(*, base_url: str, key: str | None, plan: str) -> httpx.AsyncClient:
    """`plan` is `demo` or `pro`: each has its own key header. Without a key the public limits apply."""
    headers = {"Accept": "application/json"}
    if key is not None:
        headers["x-cg-pro-api-key" if plan == "pro" else "x-cg-demo-api-key"] = key
    timeout = httpx.Timeout(FETCH_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
    # A redirect would carry the key to another host.
    return httpx.AsyncClient(base_url=base_url, headers=headers, timeout=timeout, follow_redirects=False)


def _amount(row: dict[str, object], field: str, *, signed: bool = False) -> Decimal:
    value = row.get(field)
    # They send null for a coin too new to have 24 hours; such a coin is not ready to be traded on.
    if not isinstance(value, Decimal) or not value.is_finite() or not -AMOUNT_MAX < value < AMOUNT_MAX:
        raise ValueError(f"{field} must be a number")
    if value < 0 and not signed:
        raise ValueError(f"{field} must not be negative")
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("last_updated must be a time")  # noqa: TRY004  # one refusal for every malformed field
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("last_updated must name its zone")
    return moment.astimezone(UTC)


def _retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """RFC 9110: seconds or a date."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _refuse(token: str) -> Decimal:
    raise ValueError(f"{token} is not JSON")
