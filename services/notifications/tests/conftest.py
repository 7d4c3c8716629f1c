"""A mail provider, an address book and a journal that do as a test tells them, behind the real contracts."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chassis.embedded.ports import free_port_block
from chassis.errors import ErrorKind, ServiceError
from chassis.identity import current_caller
from chassis.mongo import MongoConnection, init_documents
from chassis.testing import serve
from chassis.testing.services import identity_of, key_settings
from cryptography.fernet import Fernet
from cryptovault.auth.v1 import auth_pb2, auth_pb2_grpc
from cryptovault.trading.v1 import events_pb2, trading_pb2, trading_pb2_grpc
from notifications.settings import Settings
from notifications.storage.documents import DOCUMENTS
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

# Test folders are on no path: what is put aside here is found by this.
sys.path.insert(0, str(Path(__file__).parent))
from mail_room import Room, open_room

# Today: the database removes rows that are older than they may be kept, whenever it looks. Not before this hour began,
# since what is counted by the hour should be one hour's.
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
API_KEY = "SG.a-key-for-tests"
HELD_SECONDS_MAX = 60.0  # a test that fails must not hold the provider's thread for ever
CODE_KEY = Fernet.generate_key().decode()


@dataclass
class ProviderStandIn:
    """SendGrid's `POST /v3/mail/send`. Answers what stands in `answers`, then 202."""

    url: str
    mails: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    requests: int = 0
    # Cleared, it keeps order mails waiting for its answer and lets all others through.
    takes_order_mails: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.takes_order_mails.set()

    def answer(self, request: Request) -> Response:
        self.requests += 1
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            return Response('{"errors": [{"message": "bad grant", "field": null}]}', status=401)
        if self.answers:
            return self.answers.pop(0)
        if request.get_json()["subject"].startswith("Bought"):
            self.takes_order_mails.wait(HELD_SECONDS_MAX)
        self.mails.append(request.get_json())
        return Response(status=202, headers={"X-Message-Id": f"provider-{len(self.mails)}"})

    def recipients(self) -> list[str]:
        return [mail["personalizations"][0]["to"][0]["email"] for mail in self.mails]


@pytest.fixture(scope="session")
def make_httpserver() -> Iterator[HTTPServer]:
    # The plugin's own answers one request after the other. One for all tests: its end takes half a second.
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as server:
        yield server


@pytest.fixture
def provider(httpserver: HTTPServer) -> Iterator[ProviderStandIn]:
    stand_in = ProviderStandIn(url=httpserver.url_for("").rstrip("/"))
    httpserver.expect_request("/v3/mail/send", method="POST").respond_with_handler(stand_in.answer)
    yield stand_in
    stand_in.takes_order_mails.set()


class UserUnknown(ServiceError):
    kind = ErrorKind.NOT_FOUND
    reason = "user_not_found"


class Neighbours(auth_pb2_grpc.AuthServiceServicer, trading_pb2_grpc.TradingQueryServiceServicer):
    """Auth's address book and the exchange's journal."""

    def __init__(self) -> None:
        self.contacts: dict[str, tuple[str, str]] = {}
        self.journal: list[events_pb2.JournalBatch] = []
        self.callers: list[str] = []

    def close_order(self, order_id: str, user_id: str, *, status: str = "filled", time: datetime = NOW) -> int:
        closed = events_pb2.OrderClosed(
            order_id=order_id,
            user_id=user_id,
            market="BTC-USD",
            side="buy",
            status=status,
            filled_quantity="0.5",
            filled_quote_quantity="25000.00",
            average_price="50000.00",
            fees="25.00",
        )
        number = len(self.journal) + 1
        batch = events_pb2.JournalBatch(number=number, digest=hashlib.sha256(order_id.encode()).digest())
        batch.time.FromDatetime(time)
        batch.events.append(events_pb2.JournalEvent(order_closed=closed))
        self.journal.append(batch)
        return number

    async def GetContact(  # noqa: N802 - the contract's name
        self, request: auth_pb2.GetContactRequest, context: Any
    ) -> auth_pb2.GetContactResponse:
        self.callers.append(current_caller().service)
        if request.user_id not in self.contacts:
            raise UserUnknown("There is no such user.")
        email, name = self.contacts[request.user_id]
        return auth_pb2.GetContactResponse(email=email, name=name)

    async def ReadJournal(  # noqa: N802 - the contract's name
        self, request: trading_pb2.ReadJournalRequest, context: Any
    ) -> trading_pb2.ReadJournalResponse:
        batches = [batch for batch in self.journal if batch.number > request.after_batch][: request.limit]
        return trading_pb2.ReadJournalResponse(batches=batches, head=len(self.journal))


@pytest.fixture
def neighbours() -> Neighbours:
    # The stubs demand every method; a servicer answers UNIMPLEMENTED for those it lacks.
    return Neighbours()  # type: ignore[abstract]


@pytest.fixture
async def neighbours_address(neighbours: Neighbours) -> AsyncIterator[str]:
    servicers: list[tuple[Any, Any, str]] = [
        (auth_pb2_grpc.add_AuthServiceServicer_to_server, neighbours, "cryptovault.auth.v1.AuthService"),
        (
            trading_pb2_grpc.add_TradingQueryServiceServicer_to_server,
            neighbours,
            "cryptovault.trading.v1.TradingQueryService",
        ),
    ]
    async with serve(servicers, plays=identity_of("auth", also=("trading-projector",))) as address:
        yield address


@pytest.fixture
async def documents(mongo: MongoConnection) -> MongoConnection:
    await init_documents(mongo.database, DOCUMENTS)
    return mongo


@pytest.fixture
async def room(documents: MongoConnection, provider: ProviderStandIn) -> AsyncIterator[Room]:
    async with open_room(documents, provider.url) as everything:
        yield everything


@pytest.fixture
def environment(  # noqa: PLR0917 - fixtures, asked for by name
    mongo_url: str,
    mongo: MongoConnection,
    amqp_url: str,
    bus_namespace: str,
    provider: ProviderStandIn,
    neighbours_address: str,
) -> dict[str, str]:
    return {
        "profile": "test",
        "listen": f"127.0.0.1:{free_port_block()}",
        "mongo_url": mongo_url,
        "mongo_database": mongo.database.name,
        "amqp_url": amqp_url,
        "bus_namespace": bus_namespace,
        "auth_address": neighbours_address,
        "trading_queries_address": neighbours_address,
        "code_key": CODE_KEY,
        "sendgrid_url": provider.url,
        "sendgrid_api_key": API_KEY,
        "order_mails_gather_seconds": "0.5",
        **key_settings("notifications"),
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return Settings.model_validate(environment)


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    log_path: Path

    def log(self) -> str:
        return self.log_path.read_text()

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        return "worker_ready" in self.log()


StartWorker = Callable[[], Any]


@pytest.fixture
def start_worker(environment: dict[str, str], tmp_path: Path) -> StartWorker:
    @contextmanager
    def started() -> Iterator[Worker]:
        variables = {f"CRYPTOVAULT_{name.upper()}": value for name, value in environment.items()}
        log_path = tmp_path / "worker.log"
        command = [sys.executable, "-P", "-m", "celery", "-A", "notifications.worker.app", "worker", "--without-mingle"]
        with log_path.open("ab") as output:
            process = subprocess.Popen(
                command, env={**os.environ, **variables}, stdout=output, stderr=subprocess.STDOUT, cwd=tmp_path
            )
        try:
            yield Worker(process, log_path)
        finally:
            process.terminate()
            process.wait(20)

    return started
