"""Every process of the platform, as data: its command, its settings, whom it needs, how it shows that it serves."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chassis.embedded.mongo import MongoServer
from chassis.embedded.process import ChildProcess, EmbeddedServer
from chassis.embedded.rabbitmq import RabbitServer
from chassis.embedded.redis import RedisServer
from chassis.settings import Profile

from local_stack.keys import Keys
from local_stack.nursery.nursery import STARTING_ENVIRONMENT
from local_stack.ports import Ports
from local_stack.process_plan import ProcessPlan
from local_stack.readiness import Answers, GrpcHealth, HttpOk, PortOpen, Readiness, SaysLine

# A service does not start without its database and Redis.
STORES = frozenset({"mongo", "journal", "redis"})
# RabbitMQ takes longest to start, about as long as the services take to load: every service waits for it by itself.
BUS = frozenset({"rabbitmq"})
# The built web app; where it is missing the gateway serves the API alone.
WEB_ROOT = Path(__file__).resolve().parents[3] / "web" / "dist"
# On a machine with few cores the order path goes first, and what shows an order to its user next. What follows it, and
# writes it down where nobody waits for it, stands back.
NICENESS = {
    "trading-projector": 1,  # reads wait for what it folds
    "portfolio": 5,
    "mongo": 5,  # no order waits for it, nor does whoever reads it back: the journal has a server of its own
    "rabbitmq": 8,
    "auth": 10,  # hashes passwords, beside whom the database must not stand back
    "mailbox": 12,
    "notifications": 12,
    "notifications-worker": 12,
    "notifications-beat": 12,
}
# Of those, the ones that nobody waits for while they run, or not so long.
PATIENT = frozenset(NICENESS) - {"portfolio", "auth"}
REPLICAS_OF_TRADING = ("trading", "trading-2")
# What most of our processes load, and the nursery loads for all of them. Libraries alone: a module of ours registers
# its metrics when it is imported, and each process shows its own only. None may start a thread or open a connection
# when it is imported; a fork would not take that along.
LIBRARIES = (
    "aio_pika",
    "beanie",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "fastapi",
    "google.protobuf.timestamp_pb2",
    "google.rpc.error_details_pb2",
    "grpc.aio",
    "grpc_health.v1.health",
    "grpc_reflection.v1alpha.reflection",
    "httpx",
    "joserfc.jwt",
    "kombu.transport.pyamqp",
    "orjson",
    "prometheus_client",
    "pwdlib.hashers.argon2",
    "pydantic_settings",
    "pymongo",
    "redis.asyncio",
    "structlog",
    "uvicorn",
    "uvloop",
    "websockets",
)
PRACTICE_MONEY = "10000"  # dollars for every new user of a platform that is not real


class JournalServer(MongoServer):
    """The exchange's journal has a server to itself: an append never waits behind other services' writes."""

    name = "journal"


class PlatformPlan:
    """The processes of the platform whose first port is `ports.base`; their data below `data_dir`."""

    def __init__(
        self, *, data_dir: Path, ports: Ports, profile: str, log_level: str, keys: Keys, trading_replicas: int = 1
    ) -> None:
        self._ports = ports
        self._profile = profile
        self._log_level = log_level
        self._keys = keys
        self._data_dir = data_dir
        self._trading = REPLICAS_OF_TRADING[:trading_replicas]
        self.mongo = MongoServer(port=ports["mongo"], folder=data_dir / "mongo")
        self.journal = JournalServer(port=ports["journal"], folder=data_dir / "journal")
        self.redis = RedisServer(port=ports["redis"], folder=data_dir / "redis", durable=True)
        self.rabbitmq = RabbitServer(port=ports["rabbitmq"], folder=data_dir / "rabbitmq")

    def operator_environment(self) -> dict[str, str]:
        """What `auth.operator` needs to know, which is run by hand beside the services."""
        settings = {
            "PROFILE": self._profile,
            "LOG_LEVEL": self._log_level,
            **self._connections(),
            **self._audit_settings(),
            **self.trust_settings("auth"),
            "NOTIFICATIONS_ADDRESS": self._ports.address("notifications"),
            "ISSUER": self.gateway_url,
        }
        return {f"CRYPTOVAULT_{name}": value for name, value in settings.items()}

    def exchange_environment(self) -> dict[str, str]:
        """The same of `cryptovault exchange`. It calls nobody and needs no secret."""
        return {
            "CRYPTOVAULT_PROFILE": self._profile,
            "CRYPTOVAULT_MONGO_URL": self.mongo.url,
            "CRYPTOVAULT_JOURNAL_URL": self.journal.url,
        }

    def trust_settings(self, service: str) -> dict[str, str]:
        """With which whoever plays `service` is known to the others."""
        return self._keys.trust_settings(service)

    def build(self) -> list[ProcessPlan]:
        """In the order in which people like to read it; the runner finds the starting order itself."""
        plans = [*self._stores(), self._mailbox(), *self._services(), *self._workers(), self._gateway()]
        if self._profile == Profile.TEST:
            # What keeps the cores busy there is other tests: whoever stood back for those would miss his deadlines.
            return plans
        return [
            replace(plan, niceness=NICENESS.get(plan.name, 0), interrupts=plan.name not in PATIENT) for plan in plans
        ]

    def _stores(self) -> list[ProcessPlan]:
        epmd, _broker = _children(self.rabbitmq)
        return [
            self._store(self.mongo, stop_seconds=20.0),
            self._store(self.journal, stop_seconds=20.0),
            self._store(self.redis),
            ProcessPlan(
                name="rabbitmq-epmd",
                argv=epmd.command,
                environment=epmd.environment,
                readiness=PortOpen(self._ports["rabbitmq-epmd"]),
                ports=(self._ports["rabbitmq-epmd"],),
            ),
            self._store(
                self.rabbitmq,
                needs=frozenset({"rabbitmq-epmd"}),
                ports=(self._ports["rabbitmq"], self._ports["rabbitmq-distribution"]),
                stop_seconds=20.0,
            ),
        ]

    def _store(
        self,
        server: EmbeddedServer,
        *,
        needs: frozenset[str] = frozenset(),
        ports: tuple[int, ...] | None = None,
        stop_seconds: float = 10.0,
    ) -> ProcessPlan:
        *_helpers, child = _children(server)
        return ProcessPlan(
            name=server.name,
            argv=child.command,
            environment=child.environment,
            needs=needs,
            readiness=Answers(server.port, server.answers),
            ports=ports or (server.port,),
            # Writes its configuration again and removes what a killed one left.
            prepare=server.build,
            stop_seconds=stop_seconds,
        )

    def _mailbox(self) -> ProcessPlan:
        return self._python(
            "mailbox",
            ["local_stack.mailbox"],
            readiness=HttpOk(self._ports["mailbox"], "/health/ready"),
            settings={
                "MAILBOX_PORT": str(self._ports["mailbox"]),
                "MAILBOX_FILE": str(self._data_dir / "mailbox.jsonl"),
                "SENDGRID_API_KEY": self._keys.sendgrid_api_key,
            },
            ports=(self._ports["mailbox"],),
        )

    def _services(self) -> list[ProcessPlan]:
        return [
            self._service("market-data", "market_data"),
            *(
                self._service(name, "trading", calls=["market-data"], settings={"JOURNAL_URL": self.journal.url})
                for name in self._trading
            ),
            self._service(
                "trading-projector", "trading.projector", calls=["trading"], settings={"JOURNAL_URL": self.journal.url}
            ),
            self._service(
                "notifications",
                "notifications",
                calls=["auth", "trading-projector"],
                settings=self._mail_settings(),
            ),
            self._service(
                "auth",
                "auth",
                calls=["notifications", "trading-projector"],
                settings={**self._audit_settings(), **self._token_settings()},
            ),
            self._service(
                "portfolio",
                "portfolio",
                calls=["trading", "trading-projector", "market-data"],
                settings={"PRACTICE_MONEY": PRACTICE_MONEY},
            ),
        ]

    def _workers(self) -> list[ProcessPlan]:
        return [
            self._celery(
                "notifications-worker",
                ["worker", "--loglevel", "INFO", "--without-mingle", "--without-gossip"],
                ready_line=r"celery@\S+ ready",
                settings={"METRICS_PORT": str(self._ports.metrics("notifications-worker"))},
                ports=(self._ports.metrics("notifications-worker"),),
            ),
            # No pid file: one that a crash left would forbid the next start, and the runner starts only one anyway.
            self._celery(
                "notifications-beat",
                ["beat", "--loglevel", "INFO", "--pidfile", "", "--schedule", str(self._data_dir / "beat-schedule")],
                ready_line=r"maxinterval ->",  # the end of its banner: it has nothing else to say
            ),
        ]

    def _celery(
        self,
        name: str,
        arguments: list[str],
        *,
        ready_line: str,
        settings: Mapping[str, str] | None = None,
        ports: tuple[int, ...] = (),
    ) -> ProcessPlan:
        return self._python(
            name,
            ["celery", "-A", "notifications.worker.app", *arguments],
            readiness=SaysLine(ready_line),
            settings={
                **self._connections(),
                **self._mail_settings(),
                **self.trust_settings("notifications"),
                "LISTEN": self._ports.address("notifications-worker"),
                "AUTH_ADDRESS": self._ports.address("auth"),
                "TRADING_QUERIES_ADDRESS": self._ports.address("trading-projector"),
                **(settings or {}),
            },
            needs=STORES,
            uses=BUS | {"mailbox"},
            ports=ports,
        )

    def _gateway(self) -> ProcessPlan:
        services = ["auth", "trading", "trading-projector", "market-data", "portfolio", "notifications"]
        return self._service(
            "gateway",
            "gateway",
            calls=services,
            # The door closes first. Among the services there is no order: they call each other both ways.
            uses=BUS | {*services},
            readiness=HttpOk(self._ports["gateway"], "/health/ready"),
            settings={"MAILBOX_URL": self.mailbox_url, "WEB_ROOT": str(WEB_ROOT), **self._token_settings()},
        )

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['gateway']}"

    @property
    def mailbox_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['mailbox']}"

    def _service(
        self,
        name: str,
        module: str,
        *,
        calls: list[str] | None = None,
        uses: frozenset[str] = BUS,
        readiness: Readiness | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> ProcessPlan:
        address = self._ports.address(name)
        return self._python(
            name,
            [module],
            readiness=readiness or GrpcHealth(self._ports[name]),
            settings={
                **self._connections(),
                **{_address_setting(other): self._address(other) for other in calls or []},
                # The replicas of a service are one service to the others.
                **self.trust_settings(module.replace(".", "-").replace("_", "-")),
                "LISTEN": address,
                "METRICS_PORT": str(self._ports.metrics(name)),
                **(settings or {}),
            },
            needs=STORES,
            uses=uses,
            ports=(self._ports[name], self._ports.metrics(name)),
        )

    def _python(
        self,
        name: str,
        module: list[str],
        *,
        readiness: Readiness,
        settings: Mapping[str, str],
        ports: tuple[int, ...],
        needs: frozenset[str] = frozenset(),
        uses: frozenset[str] = frozenset(),
    ) -> ProcessPlan:
        environment = {f"CRYPTOVAULT_{key}": value for key, value in settings.items()}
        return ProcessPlan(
            name=name,
            # -P: nothing that lies in the working folder may pose as one of our packages.
            argv=(sys.executable, "-P", "-m", *module),
            module=tuple(module),
            environment={
                "CRYPTOVAULT_PROFILE": self._profile,
                "CRYPTOVAULT_LOG_LEVEL": self._log_level,
                **STARTING_ENVIRONMENT,
                **environment,
            },
            readiness=readiness,
            needs=needs,
            uses=uses,
            ports=ports,
        )

    def _address(self, name: str) -> str:
        """Where the named service is called; of the exchange all replicas, since any may lead."""
        names = self._trading if name == "trading" else (name,)
        return ",".join(self._ports.address(each) for each in names)

    def _connections(self) -> dict[str, str]:
        return {"MONGO_URL": self.mongo.url, "REDIS_URL": self.redis.url, "AMQP_URL": self.rabbitmq.url}

    def _mail_settings(self) -> dict[str, str]:
        return {
            "CODE_KEY": self._keys.code_key,
            "SENDGRID_API_KEY": self._keys.sendgrid_api_key,
            "SENDGRID_URL": self.mailbox_url,
        }

    def _audit_settings(self) -> dict[str, str]:
        """The key signs checkpoints of the audit trail too, and a verifier needs its public half."""
        return {
            "JWT_PRIVATE_KEY": self._keys.jwt_private_key,
            "AUDIT_ANCHORS": str(self._data_dir / "audit-anchors.jsonl"),
        }

    def _token_settings(self) -> dict[str, str]:
        return {"ISSUER": self.gateway_url, "AUDIENCE": "cryptovault"}


def _children(server: EmbeddedServer) -> list[ChildProcess]:
    server.folder.mkdir(parents=True, exist_ok=True)
    return server.build()


def _address_setting(name: str) -> str:
    # The projector answers trading's queries; callers know it by that.
    return "TRADING_QUERIES_ADDRESS" if name == "trading-projector" else f"{name.upper().replace('-', '_')}_ADDRESS"
