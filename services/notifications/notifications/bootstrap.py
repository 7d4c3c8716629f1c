"""Builds notifications: the service, and what its worker needs."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from celery import Celery
from chassis.clock import Clock, SystemClock
from chassis.grpc_client import open_channel
from chassis.journal_consumer import JournalConsumer
from chassis.mongo import connect, init_documents
from chassis.service import Runtime
from chassis.trust.service_identity import ServiceIdentity
from cryptovault.notifications.v1.notifications_pb2_grpc import add_NotificationsServiceServicer_to_server

from notifications.api.servicer import NotificationsServicer
from notifications.clients.auth import AuthContacts
from notifications.clients.sendgrid import SendGrid
from notifications.clients.task_queue import CeleryTaskQueue
from notifications.clients.trading import TradingJournal
from notifications.crypto.fernet_seal import FernetSeal
from notifications.domain.order_fills import BatchFills
from notifications.events.subscriptions import journal_advanced, second_factor_removed
from notifications.rendering.jinja_renderer import JinjaRenderer
from notifications.settings import Settings
from notifications.storage.documents import DOCUMENTS
from notifications.storage.fill_records import MongoFillRecords
from notifications.storage.mail_portions import MongoMailPortions
from notifications.storage.mails import MongoMails
from notifications.use_cases.accept_code import AcceptCode
from notifications.use_cases.accept_notice import AcceptNotice
from notifications.use_cases.attempt_mail import AttemptMail
from notifications.use_cases.deliver_mail import DeliverMail
from notifications.use_cases.deliver_mails import DeliverMails
from notifications.use_cases.sweep_mails import SweepMails
from notifications.use_cases.tell_of_fills import TellOfFills
from notifications.worker.tasks import make_celery


async def compose(runtime: Runtime[Settings]) -> None:
    settings = runtime.settings
    mongo = await runtime.mongo()
    await init_documents(mongo.database, DOCUMENTS)
    app = make_celery(settings)
    runtime.on_stop(_closing(app))
    queue = CeleryTaskQueue(app)

    channel = open_channel(settings.trading_queries_address, to="trading-projector", identity=runtime.identity)
    runtime.on_stop(channel.close)
    tell = TellOfFills(
        journal=TradingJournal(channel),
        records=MongoFillRecords(),
        queue=queue,
        clock=runtime.clock,
        gather=timedelta(seconds=settings.order_mails_gather_seconds),
    )
    runtime.on_stop(tell.close)
    consumer: JournalConsumer[BatchFills] = JournalConsumer(
        "notifications",
        read=tell.read,
        apply=tell.apply,
        transactions=mongo.transactions,
        database=mongo.database,
    )
    runtime.background("journal", consumer.run)
    bus = await runtime.bus()
    await bus.subscribe(journal_advanced(consumer.ring))
    mails = MongoMails()
    accept_notice = AcceptNotice(mails=mails, queue=queue, clock=runtime.clock)
    await bus.subscribe(second_factor_removed(accept_notice))

    accept_code = AcceptCode(mails=mails, queue=queue, seal=make_seal(settings), clock=runtime.clock)
    runtime.add_servicer(
        add_NotificationsServiceServicer_to_server,
        NotificationsServicer(accept_code=accept_code),
        "cryptovault.notifications.v1.NotificationsService",
    )


@dataclass(frozen=True, slots=True)
class WorkerUseCases:
    deliver_mail: DeliverMail
    deliver_mails: DeliverMails
    sweep_mails: SweepMails
    close: Callable[[], Awaitable[None]]


async def compose_worker(settings: Settings, app: Celery, *, clock: Clock | None = None) -> WorkerUseCases:
    """What the worker's tasks call. Belongs to the running loop, as its connections do."""
    clock = clock or SystemClock()
    stack = AsyncExitStack()
    mongo = connect(settings.required("mongo_url"), settings.database_name)
    stack.push_async_callback(mongo.close)
    await init_documents(mongo.database, DOCUMENTS)
    channel = open_channel(settings.auth_address, to="auth", identity=ServiceIdentity.of(settings))
    stack.push_async_callback(channel.close)
    sendgrid = SendGrid(
        base_url=settings.sendgrid_url,
        api_key=settings.required("sendgrid_api_key"),
        sender=settings.sender,
        sender_name=settings.mail_from_name,
        clock=clock,
    )
    stack.push_async_callback(sendgrid.close)
    mails, portions = MongoMails(), MongoMailPortions(mongo.transactions)
    queue, seal = CeleryTaskQueue(app), make_seal(settings)
    attempt = AttemptMail(
        contacts=AuthContacts(channel), provider=sendgrid, renderer=JinjaRenderer(), seal=seal, clock=clock
    )
    return WorkerUseCases(
        DeliverMail(mails=mails, portions=portions, attempt=attempt, queue=queue, seal=seal, clock=clock),
        DeliverMails(portions=portions, attempt=attempt, queue=queue, clock=clock),
        SweepMails(mails=mails, portions=portions, queue=queue, clock=clock),
        stack.aclose,
    )


def make_seal(settings: Settings) -> FernetSeal:
    return FernetSeal(settings.code_key.get_secret_value())


def _closing(app: Celery) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        app.close()

    return close
