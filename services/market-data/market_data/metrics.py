"""What market-data counts. A source's age is now minus its newest source time."""

from prometheus_client import Counter, Gauge

PRICE_FETCHES = Counter("cryptovault_price_fetches", "Times a price source was asked", ["source", "outcome"])
PRICE_SOURCE_TIME = Gauge("cryptovault_price_source_time_seconds", "Newest source time, Unix seconds", ["source"])
PRICE_CACHE_FAILURES = Counter("cryptovault_price_cache_failures", "Times the shared cache did not take the prices")
PRICE_FOLLOWERS = Gauge("cryptovault_price_followers", "Open price streams")
