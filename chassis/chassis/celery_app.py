"""Celery as every service uses it: orders to oneself on quorum queues, acknowledged after the work."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue

from chassis.namespaces import qualified

CONFIRM_TIMEOUT_SECONDS = 5.0  # a broker that is blocked (memory, disk) confirms nothing
SOFT_LIMIT_SECONDS = 60  # a task is one mail or one document; past this it hangs
HARD_LIMIT_SECONDS = 90
DELIVERY_LIMIT = 10  # of a task whose worker dies with it; then it is dropped


def build_celery(
    name: str,
    amqp_url: str,
    namespace: str = "",
    *,
    tasks: str | None = None,
    queues: Mapping[str, Sequence[str]] | None = None,
) -> Celery:
    """A Celery app with a quorum queue `<name>.tasks`, and one `<name>.<queue>` for each of `queues`: the tasks named
    there go to it, all others to the first.

    A worker consumes all of them, and is given up to its concurrency from each: what stands in one waits for nothing
    in another as long as the pool has that many threads for each (`celery_pool.ThreadsForEachQueue`).

    A task is sent when the broker has confirmed it, JSON only, acknowledged after it ran, redelivered when its
    worker dies: tasks must bear being run twice. No results are kept. `tasks` names the module that holds them.
    A task that kills its worker again and again is dropped, and one with `expires` vanishes at that time: what has
    to be done stands in the service's own database, the task only says that it is time. There is no parking place
    for tasks on purpose, since what expires would end there too.

    Time limits bind in the prefork pool only; a task in the threads pool bounds its own calls.
    """
    app = Celery(name, broker=amqp_url, include=[tasks] if tasks else [])
    own = {suffix: _queue(qualified(namespace, f"{name}.{suffix}")) for suffix in queues or {}}
    app.conf.update(_settings(_queue(qualified(namespace, f"{name}.tasks")), own.values()))
    app.conf.task_routes = {
        task: {"queue": own[suffix].name} for suffix, routed in (queues or {}).items() for task in routed
    }
    return app


def _queue(name: str) -> Queue:
    # A topic exchange: with quorum queues Celery delays tasks through delay queues of its own, which need one;
    # otherwise a task that waits for its time would block the worker.
    # kombu has no types.
    exchange: Any = Exchange(name, type="topic", durable=True)  # type: ignore[no-untyped-call]
    return Queue(  # type: ignore[no-untyped-call]
        name,
        exchange,
        routing_key=name,
        durable=True,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
        },
    )


def _settings(queue: Queue, others: Iterable[Queue]) -> dict[str, Any]:
    return {
        "task_queues": [queue, *others],
        "task_default_queue": queue.name,
        "task_default_exchange": queue.exchange.name,
        "task_default_exchange_type": "topic",
        "task_default_routing_key": queue.routing_key,
        "task_create_missing_queues": False,
        "worker_detect_quorum_queues": True,
        # Celery makes 28 delay queues; as quorum queues they would cost a small broker more than all of ours. What
        # waits in one is a repeat of a task whose record is in the database.
        "broker_native_delayed_delivery_queue_type": "classic",
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "result_backend": None,
        "task_soft_time_limit": SOFT_LIMIT_SECONDS,
        "task_time_limit": HARD_LIMIT_SECONDS,
        "broker_transport_options": {
            "confirm_publish": True,
            "confirm_timeout": CONFIRM_TIMEOUT_SECONDS,
            "max_retries": 2,
            "interval_start": 0.1,
            "interval_step": 0.2,
            "interval_max": 0.5,
        },
        "task_publish_retry": True,
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2},
        "broker_connection_timeout": CONFIRM_TIMEOUT_SECONDS,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        # Our own logs, and none of the chatter between workers: nobody listens to it.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
        # Answers `celery inspect ping`, which health checks ask; its queue goes with the worker.
        "worker_enable_remote_control": True,
        "control_queue_exclusive": True,
        "enable_utc": True,
        "timezone": "UTC",
    }
