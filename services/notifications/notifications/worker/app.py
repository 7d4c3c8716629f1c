"""`celery -A notifications.worker.app worker|beat`."""

from chassis.settings import load_settings

from notifications.settings import Settings
from notifications.worker.application import build_application

# At import, since that is where `celery -A` looks for it. Nothing is connected yet.
app = build_application(load_settings(Settings))
