"""Reads a request's path and query as strictly as its body: an unknown or repeated name is refused, not ignored.

A mistyped `?markt=BTC-USD` must not cancel the orders of all markets.
"""

from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.requests import Request

from gateway.errors import error_of_validation, invalid
from gateway.schemas.fields import RULES, RequestBody

_FIELDS_MAX = 16

Q = TypeVar("Q", bound=RequestBody)


def read_query(request: Request, model: type[Q]) -> Q:
    """PublicError 400 where the query is not exactly what the model says."""
    text: bytes = request.scope["query_string"]
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise invalid("The query could not be read.", field="query", rule="readable") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise invalid("A name comes twice in the query.", field="query", rule="once")
    return _validated(values, model)


def read_path(request: Request, model: type[Q]) -> Q:
    """PublicError 400 where a part of the path is malformed."""
    return _validated(request.path_params, model)


def _validated(values: dict[str, str], model: type[Q]) -> Q:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise error_of_validation(error, rules=RULES) from None
