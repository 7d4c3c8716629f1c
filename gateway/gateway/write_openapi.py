"""`python -m gateway.write_openapi`: write the OpenAPI document into `gateway/openapi.json`, which is committed."""

import asyncio
import json
from pathlib import Path

from chassis.clock import SystemClock
from chassis.ids import RandomIds
from chassis.settings import Profile
from chassis.testing.services import identity_of

from gateway.bootstrap import build
from gateway.settings import GatewaySettings

OPENAPI_FILE = Path(__file__).parent.parent / "openapi.json"


async def openapi_text() -> str:
    """The document of the routes as they are, in the form of the file."""
    # Nothing is asked of any of these: a channel connects at its first call.
    settings = GatewaySettings.model_validate({"profile": Profile.TEST, "redis_url": "redis://127.0.0.1:1/0"})
    gateway = build(settings, identity=identity_of("gateway"), clock=SystemClock(), ids=RandomIds())
    try:
        return json.dumps(gateway.application.document(), indent=2, ensure_ascii=False) + "\n"
    finally:
        await gateway.close()


if __name__ == "__main__":
    OPENAPI_FILE.write_text(asyncio.run(openapi_text()), encoding="utf-8")
