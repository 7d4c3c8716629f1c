"""Kinds of fields. Strict: what is not exactly of its kind is refused, nothing is coerced, rounded or trimmed."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

# ASCII digits only, no sign, no exponent, no leading zeros, at most 18 + 18 places. The pattern runs in a linear-time
# engine whose `$` is the very end of the text.
MONEY_PATTERN = r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"
MARKET_PATTERN = r"^[A-Z0-9]{1,16}-[A-Z0-9]{1,16}$"
UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
CLIENT_ORDER_ID_PATTERN = r"^[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,63}$"  # part of a path, where a dot or two name another
CURSOR_PATTERN = r"^[\x21-\x7e]{1,512}$"
SEQUENCE_PATTERN = r"^(0|[1-9][0-9]{0,15})$"
LIMIT_PATTERN = r"^[1-9][0-9]{0,2}$"
EMAIL_PATTERN = r"^[^@\s]{1,64}@[^@\s]{1,253}$"
TOKEN_PATTERN = r"^[\x21-\x7e]{1,4096}$"  # noqa: S105 - a pattern
CODE_PATTERN = r"^[0-9]{6}$"
NETWORK_PATTERN = r"^[0-9A-Fa-f.:/]{2,64}$"  # its characters; what it means is auth's to judge
SECOND_FACTOR_PATTERN = r"^[0-9A-Za-z -]{6,32}$"  # six digits, or a recovery code as people type it
TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$"
MOMENT_OR_SEQUENCE_PATTERN = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z|0|[1-9][0-9]{0,15})$"
)
ASSET_PATTERN = r"^[A-Z0-9]{1,16}$"
NEW_ASSET_PATTERN = r"^[A-Z0-9]{2,12}$"
KIND_PATTERN = r"^[a-z_]{1,32}$"

# Names of broken rules where the pattern itself would say little.
RULES: Mapping[str, str] = {
    MONEY_PATTERN: "decimal_string",
    MARKET_PATTERN: "market_symbol",
    UUID_PATTERN: "uuid",
    CLIENT_ORDER_ID_PATTERN: "client_order_id",
    CURSOR_PATTERN: "cursor",
    SEQUENCE_PATTERN: "whole_number",
    LIMIT_PATTERN: "whole_number",
    EMAIL_PATTERN: "email",
    TOKEN_PATTERN: "token",
    CODE_PATTERN: "six_digits",
    SECOND_FACTOR_PATTERN: "second_factor",
    NETWORK_PATTERN: "cidr",
    TIME_PATTERN: "rfc3339_utc",
    MOMENT_OR_SEQUENCE_PATTERN: "rfc3339_utc_or_sequence",
    ASSET_PATTERN: "asset",
    NEW_ASSET_PATTERN: "asset",
    KIND_PATTERN: "kind",
}
PAGE_SIZE_MAX = 200  # one screen of a blotter is 50
PAGE_SIZE_DEFAULT = 50
PASSWORD_LENGTH_MAX = 1_024  # what a hash is computed of must have an end; the real rules are auth's
NAME_LENGTH_MAX = 200

_DECIMAL = {"type": "string", "format": "decimal", "pattern": MONEY_PATTERN}

Money = Annotated[str, Field(pattern=MONEY_PATTERN), WithJsonSchema({**_DECIMAL, "examples": ["0.25"]})]
# Figures of ours, which may be negative.
Figure = Annotated[str, WithJsonSchema({"type": "string", "format": "decimal", "examples": ["-1.25"]})]
MarketSymbol = Annotated[str, Field(pattern=MARKET_PATTERN, examples=["BTC-USD"])]
ClientOrderId = Annotated[str, Field(pattern=CLIENT_ORDER_ID_PATTERN, examples=["my-order-1"])]
Email = Annotated[str, Field(pattern=EMAIL_PATTERN, max_length=254, json_schema_extra={"format": "email"})]
Moment = Annotated[
    str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-15T14:30:00.000Z"]})
]
Identifier = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]


class RequestBody(BaseModel):
    """What a client sends: no field that we do not know, no type but the one named."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class ReplyBody(BaseModel):
    """What we answer. The models document it and tests hold the replies against them; they are not run per reply."""

    model_config = ConfigDict(extra="forbid", frozen=True)
