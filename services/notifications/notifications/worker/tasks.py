"""The worker's queues and which tasks are in them. Light: the beat process loads this and little else."""

from celery import Celery
from chassis.celery_app import build_celery

from notifications.clients.task_queue import SEND_CODE, SEND_NOTICE
from notifications.settings import Settings

APPLICATION = "notifications"
# Somebody waits for a code, or must act on a notice; what tells of filled orders comes by the thousand.
AWAITED = {"codes": (SEND_CODE, SEND_NOTICE)}


def make_celery(settings: Settings) -> Celery:
    return build_celery(APPLICATION, settings.required("amqp_url"), settings.bus_namespace, queues=AWAITED)
