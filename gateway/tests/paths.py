"""Where a route is asked, with something in the place of every parameter."""

from facts import ORDER, USER
from gateway.routes.endpoint import Endpoint

_VALUES = {
    "session_id": ORDER,
    "key_id": ORDER,
    "order_id": ORDER,
    "symbol": "BTC-USD",
    "code": "BTC",
    "user_id": USER,
    "client_order_id": "mine",
}


def path_of(endpoint: Endpoint) -> str:
    parts = (_VALUES.get(part[1:-1], "1") if part.startswith("{") else part for part in endpoint.path.split("/"))
    return "/".join(parts)
