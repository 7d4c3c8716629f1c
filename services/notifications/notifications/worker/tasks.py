"""The worker's queue and the names of its tasks. Light: the beat process loads this and little else."""

from celery import Celery
from chassis.celery_app import build_celery

from notifications.settings import Settings

APPLICATION = "notifications"


def make_celery(settings: Settings) -> Celery:
    return build_celery(APPLICATION, settings.required("amqp_url"), settings.bus_namespace)
