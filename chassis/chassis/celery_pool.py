"""Celery's threads pool, with room for every queue that a worker consumes."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.concurrency.thread import TaskPool


class ThreadsForEachQueue(TaskPool):  # type: ignore[misc] # Celery has no types
    """As many threads as the worker's concurrency, for each of its queues.

    From a quorum queue the broker gives each consumer as many tasks as the worker's concurrency, queue by queue; in
    Celery's own pool they would stand in one line for that many threads, so that one queue's tasks wait for another's.
    Name it by `worker_pool = "chassis.celery_pool:ThreadsForEachQueue"`.
    """

    def __init__(self, *arguments: Any, app: Any, **options: Any) -> None:
        super().__init__(*arguments, app=app, **options)
        self.executor = ThreadPoolExecutor(max_workers=self.limit * len(app.conf.task_queues))
