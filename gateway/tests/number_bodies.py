"""Bodies with something else where a number should be."""

import json
from typing import Any

# JSON that is no text at all.
NO_TEXTS = (
    "0", "1", "0.5", "-1", "1e5", "1e400", "-0", "NaN", "Infinity", "-Infinity", "true", "false", "[]", "{}", '["1"]',
    '{"value":"1"}', "0.1000000000000000055511151231257827", "9" * 400,
)  # fmt: skip


def body_with(body: dict[str, Any], field: str, raw: str) -> bytes:
    parts = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in body.items() if name != field]
    return ("{" + ",".join([*parts, f"{json.dumps(field)}:{raw}"]) + "}").encode()
