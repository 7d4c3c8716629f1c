"""One line of the API: where, who may, what goes in, what comes out. Routes are tables of these."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import STEP_UP_PERMISSIONS, Access, LimitClass, Policy
from gateway.edge.shedding import Urgency
from gateway.schemas.fields import RequestBody

API = "/api/v1"

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`access` and `limit` have no default: nobody comes in by forgetting to say who may."""

    method: str
    path: str
    handler: Handler
    access: Access
    limit: LimitClass | None
    # What the caller's roles must allow. Left out only below /auth, where people act on their own account: a test walks
    # the routes.
    permission: str | None = None
    # Whether it takes a second factor shown a moment ago (POST /auth/step-up). None: where its permission is a dear one
    # and it is more than a read. False is said only of what takes power away, which nobody may be kept from.
    step_up: bool | None = None
    # Whether it is for programs alone, whose key signs the request.
    by_key_only: bool = False
    # How long it is still let in as load grows. None: a GET is a read, everything else changes something.
    shed_as: Urgency | None = None
    operation_id: str
    summary: str
    tag: str
    description: str = ""
    # None: no body in the reply.
    reply: type[BaseModel] | None = None
    status: int = 200
    # Other statuses under which the same reply comes, such as a report of what is wrong: no error there.
    also_under: tuple[int, ...] = ()
    # Beyond those that follow from `access`, `limit` and what the request holds.
    errors: tuple[int, ...] = ()
    body: type[RequestBody] | None = None
    body_required: bool = True
    body_example: dict[str, Any] | None = None
    path_fields: type[RequestBody] | None = None
    query: type[RequestBody] | None = None
    idempotent: bool = False
    # The reply may lag behind what its user did last, and says so in X-Data-Behind.
    may_lag: bool = False
    sets_cookies: bool = False
    # Other media types than JSON in which the same reply may be asked for.
    also_as: tuple[str, ...] = ()
    has_etag: bool = False
    documented: bool = True

    @property
    def urgency(self) -> Urgency:
        return self.shed_as or (Urgency.READ if self.method == "GET" else Urgency.ORDER)

    @property
    def policy(self) -> Policy:
        is_dear = self.permission in STEP_UP_PERMISSIONS and self.method != "GET"
        return Policy(
            access=self.access, limit=self.limit, permission=self.permission, by_key_only=self.by_key_only,
            step_up=is_dear if self.step_up is None else self.step_up,
        )  # fmt: skip
