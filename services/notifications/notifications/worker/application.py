"""The Celery application: its tasks, its schedule, and the life of what the tasks need."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from celery import Celery, signals
from chassis.errors import ErrorKind, ServiceError
from chassis.logs import configure_logging, get_logger
from chassis.metrics import start_metrics

from notifications.clients.task_queue import SEND_CODE, SEND_MAIL, SEND_MAILS, SEND_NOTICE, SWEEP
from notifications.settings import Settings
from notifications.worker.loop_thread import LoopThread
from notifications.worker.tasks import make_celery

if TYPE_CHECKING:
    from notifications.bootstrap import WorkerUseCases

# Mails are network waits, so threads in one process do: prefork would add a second interpreter of 90 MB per child.
# As many for each queue, so that a code finds one however many order mails are under way.
POOL = "chassis.celery_pool:ThreadsForEachQueue"
CONCURRENCY = 4  # tasks of each queue at once; one slow answer of the provider must not hold the next code
# The threads pool knows no time limits of Celery's, so a task bounds itself: provider 10 s, auth 1 s, database 5 s.
TASK_SECONDS_MAX = 25.0
COMPOSE_SECONDS_MAX = 30.0
OUTAGE_RETRY_SECONDS = 5
OUTAGE_RETRIES_MAX = 100  # about eight minutes; the sweep finds what is still queued after that

# A mail whose task the broker lost, or never got, would wait for ever: nobody else looks at it. Once a minute is often
# enough for a mail that is two minutes late already, and one indexed query.
SWEEP_SECONDS = 60.0

log = get_logger(__name__)


class _Life:
    """What exists between the worker's start and its end."""

    def __init__(self) -> None:
        self.loop = LoopThread()
        self.use_cases: WorkerUseCases | None = None
        self.stop_metrics: Callable[[], None] = lambda: None

    def ready(self) -> "WorkerUseCases":
        if self.use_cases is None:
            raise RuntimeError("a task ran before the worker was initialised")
        return self.use_cases


def build_application(settings: Settings) -> Celery:
    """Nothing is connected or started here: `celery worker` does that through its signals, `celery beat` never."""
    app = make_celery(settings)
    app.conf.update(
        worker_pool=POOL,
        worker_concurrency=CONCURRENCY,
        beat_schedule={
            "sweep-lost-mails": {
                "task": SWEEP,
                "schedule": SWEEP_SECONDS,
                # Without a worker they would pile up; one is as good as many.
                "options": {"expires": SWEEP_SECONDS},
            }
        },
    )
    life = _Life()
    _connect_signals(app, settings, life)
    _add_tasks(app, life)
    return app


def _connect_signals(app: Celery, settings: Settings, life: _Life) -> None:
    def logging(**_: Any) -> None:
        configure_logging(settings)

    def begin(**_: Any) -> None:
        # Here, so that beat, which runs no task, does not load the database, gRPC and the templates (60 MB).
        from notifications.bootstrap import compose_worker  # noqa: PLC0415

        life.stop_metrics = start_metrics(settings.metrics_port, settings.listen.rpartition(":")[0] or "127.0.0.1")
        life.loop.start()
        life.use_cases = life.loop.run(compose_worker(settings, app), timeout_seconds=COMPOSE_SECONDS_MAX)

    def ready(sender: Any, **_: Any) -> None:
        # Celery's own words for it, which supervisors wait for; its own line is quieted with its chatter.
        sentence = f"{sender.hostname} ready"
        log.info(sentence, event="worker_ready", pool=POOL, concurrency=CONCURRENCY)

    def beat_ready(**_: Any) -> None:
        log.info("beat: Starting", event="beat_ready", schedules=len(app.conf.beat_schedule))

    def end(**_: Any) -> None:
        if life.use_cases is not None:
            life.loop.run(_close(life.use_cases), timeout_seconds=COMPOSE_SECONDS_MAX)
            life.use_cases = None
        life.loop.stop()
        life.stop_metrics()

    # weak=False: nothing else keeps these functions alive.
    signals.setup_logging.connect(logging, weak=False)
    signals.worker_init.connect(begin, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.beat_init.connect(beat_ready, weak=False)
    signals.worker_shutdown.connect(end, weak=False)


async def _close(use_cases: "WorkerUseCases") -> None:
    await use_cases.close()


def _add_tasks(app: Celery, life: _Life) -> None:
    def deliver(task: Any, work: Coroutine[Any, Any, None], **facts: Any) -> None:
        try:
            life.loop.run(work, timeout_seconds=TASK_SECONDS_MAX)
        except (ServiceError, TimeoutError) as error:
            if isinstance(error, ServiceError) and error.kind is not ErrorKind.UNAVAILABLE:
                raise
            # The database or the broker is away. `expires` of the first message holds for the repeat too.
            log.warning("Task waits", event="task_waits", problem=repr(error), **facts)
            raise task.retry(
                countdown=OUTAGE_RETRY_SECONDS, max_retries=OUTAGE_RETRIES_MAX, argsrepr="()", kwargsrepr="{}"
            ) from error

    def send_code(task: Any, *, mail_id: str, sealed: str) -> None:
        deliver(task, life.ready().deliver_mail(mail_id, sealed), mail_id=mail_id)

    def send_mail(task: Any, *, mail_id: str) -> None:
        deliver(task, life.ready().deliver_mail(mail_id), mail_id=mail_id)

    def send_mails(task: Any, *, mail_ids: list[str]) -> None:
        deliver(task, life.ready().deliver_mails(mail_ids), mails=len(mail_ids))

    def sweep() -> None:
        try:
            life.loop.run(life.ready().sweep_mails(), timeout_seconds=TASK_SECONDS_MAX)
        except (ServiceError, TimeoutError) as error:
            if isinstance(error, ServiceError) and error.kind is not ErrorKind.UNAVAILABLE:
                raise
            log.warning("Sweep waits for the next", event="sweep_waits", problem=repr(error))

    app.task(name=SEND_CODE, bind=True)(send_code)
    app.task(name=SEND_NOTICE, bind=True)(send_mail)
    app.task(name=SEND_MAIL, bind=True)(send_mail)
    app.task(name=SEND_MAILS, bind=True)(send_mails)
    app.task(name=SWEEP)(sweep)
