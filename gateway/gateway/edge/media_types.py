"""Which form of a reply a client asks for."""

from starlette.requests import Request

CSV = "text/csv"
JSON = "application/json"


def wants_csv(request: Request) -> bool:
    """True where `Accept` names CSV and not, before it, JSON."""
    for part in request.headers.get("accept", "").split(","):
        media_type = part.split(";")[0].strip().lower()
        if media_type in {CSV, JSON}:
            return media_type == CSV
    return False
