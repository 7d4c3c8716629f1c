"""One JSON object per line on stdout: timestamp, level, logger, message, request_id, user_id, and the facts given."""

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import structlog

from chassis.identity import current_caller
from chassis.settings import ServiceSettings

# Field names whose value never reaches a log, whoever passes it.
_SECRET_WORDS = ("password", "secret", "token", "authorization", "cookie", "api_key", "private_key", "otp", "jwt")
_SECRET_FIELDS = frozenset({"code", "key", "amqp_url", "mongo_url", "redis_url"})
_HIDDEN = "[hidden]"
# Libraries that narrate: their warnings are ours, their chatter is not.
_QUIET_LOGGERS = ("aio_pika", "aiormq", "asyncio", "celery", "grpc", "httpx", "pymongo", "kombu", "amqp")

_EventDict = MutableMapping[str, Any]


class EventLogger(structlog.BoundLoggerBase):
    """`log.info("Order created", event="order_created", order_id=...)`.

    A sentence for people, a stable name for queries, facts by name; `exception` adds the traceback at hand.
    """

    def debug(self, message: str, /, **fields: Any) -> None:
        self._write("debug", message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, /, **fields: Any) -> None:
        self._write("warning", message, fields)

    def error(self, message: str, /, **fields: Any) -> None:
        self._write("error", message, fields)

    def exception(self, message: str, /, **fields: Any) -> None:
        self._write("error", message, {"exc_info": True, **fields})

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        name = fields.pop("event", None)
        self._proxy_to_logger(level, name, message=message, **fields)


def get_logger(name: str) -> EventLogger:
    """A logger named like the module that owns it. Cheap; may be made at import."""
    # Every processor of `configure_logging` is read at the first line, not here.
    return cast("EventLogger", structlog.wrap_logger(None, wrapper_class=EventLogger, logger_name=name))


def configure_logging(settings: ServiceSettings, *, stream: TextIO | None = None) -> None:
    """Send our lines and those of every library to one place in one form. Call once, before the first line."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _Stamp(settings.service_name),
        _hide_secrets,
        structlog.processors.format_exc_info,
    ]
    render = structlog.processors.JSONRenderer(serializer=_to_json)
    target = stream or sys.stdout
    structlog.configure(
        processors=[_LevelFilter(level), _own_logger_name, *shared, render],
        wrapper_class=EventLogger,
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_foreign_line, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _LevelFilter:
    def __init__(self, level: int) -> None:
        self._dropped = frozenset(
            name.lower() for name, number in logging.getLevelNamesMapping().items() if number < level
        )

    def __call__(self, _logger: Any, method: str, fields: _EventDict) -> _EventDict:
        if method in self._dropped:
            raise structlog.DropEvent
        fields["level"] = method.upper()
        return fields


class _Stamp:
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: Any, _method: str, fields: _EventDict) -> _EventDict:
        caller = current_caller()
        fields["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields["service"] = self._service
        # The keys are in every line, so that a query never has to ask whether they exist.
        fields.setdefault("request_id", caller.request_id or None)
        fields.setdefault("user_id", caller.user_id)
        return fields


def _own_logger_name(_logger: Any, _method: str, fields: _EventDict) -> _EventDict:
    fields["logger"] = fields.pop("logger_name", "chassis")
    return fields


def _foreign_line(_logger: Any, _method: str, fields: _EventDict) -> _EventDict:
    record: logging.LogRecord = fields["_record"]
    fields["level"] = record.levelname
    fields["logger"] = record.name
    fields["message"] = fields.pop("event")
    return fields


def _hide_secrets(_logger: Any, _method: str, fields: _EventDict) -> _EventDict:
    for name in fields:
        lowered = name.lower()
        if lowered in _SECRET_FIELDS or any(word in lowered for word in _SECRET_WORDS):
            fields[name] = _HIDDEN
    return fields


def _to_json(fields: Any, **_options: Any) -> str:
    return json.dumps(fields, default=str, ensure_ascii=False, separators=(",", ":"))
