"""What the one writer tells operators about itself."""

from prometheus_client import Counter, Gauge, Histogram

BATCH_COMMANDS = Histogram(
    "cryptovault_batch_commands", "Commands per batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 512)
)
APPEND_SECONDS = Histogram(
    "cryptovault_append_seconds",
    "Time until a batch was durable",
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.25, 1, 5),
)
WAITING = Gauge("cryptovault_commands_waiting", "Commands that wait for the sequencer")
BREAKDOWNS = Counter("cryptovault_core_breakdowns", "Commands that broke the core; each stopped a market")
REFUSED_COMMANDS = Counter("cryptovault_refused_commands", "Commands that the exchange refused", ["market", "reason"])
REFUSED_TICKS = Counter("cryptovault_refused_ticks", "Reference prices that the exchange did not take", ["reason"])
