import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from chassis.identity import Caller, use_caller
from chassis.logs import configure_logging, get_logger
from chassis.settings import Profile, ServiceSettings

CALLER = Caller(service="gateway", user_id="user-456", session_id=None, request_id="abc-123", address=None)


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, before = root.handlers, root.level, structlog.get_config()
    stream = io.StringIO()
    configure_logging(ServiceSettings(profile=Profile.TEST, listen="127.0.0.1:0"), stream=stream)
    yield stream
    structlog.configure(**before)
    root.handlers = handlers
    root.setLevel(level)


def _lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_line_has_the_product_documents_fields(output: io.StringIO) -> None:
    with use_caller(CALLER):
        get_logger("trading.orders").info(
            "Order created", event="order_created", order_id="order-789", duration_ms=45.2
        )
    (line,) = _lines(output)
    assert line["timestamp"].endswith("Z")
    assert {key: line[key] for key in ("level", "logger", "message", "request_id", "user_id")} == {
        "level": "INFO",
        "logger": "trading.orders",
        "message": "Order created",
        "request_id": "abc-123",
        "user_id": "user-456",
    }
    assert (line["event"], line["order_id"], line["duration_ms"]) == ("order_created", "order-789", 45.2)


def test_lines_of_libraries_take_the_same_form(output: io.StringIO) -> None:
    with use_caller(CALLER):
        logging.getLogger("some.library").warning("retrying %s", "now")
    (line,) = _lines(output)
    assert (line["message"], line["logger"], line["level"], line["request_id"]) == (
        "retrying now",
        "some.library",
        "WARNING",
        "abc-123",
    )


def test_a_level_below_the_setting_is_silent(output: io.StringIO) -> None:
    get_logger("x").debug("noise", event="noise")
    assert output.getvalue() == ""


def test_secrets_are_hidden_and_a_line_break_cannot_forge_a_line(output: io.StringIO) -> None:
    get_logger("x").info("a\nb", event="e", password="hunter2", refresh_token="hunter2", code="123456")
    assert "hunter2" not in output.getvalue()
    assert "123456" not in output.getvalue()
    assert len(_lines(output)) == 1


def test_an_exception_brings_its_traceback(output: io.StringIO) -> None:
    try:
        int("boom")
    except ValueError:
        get_logger("x").exception("It broke", event="broke")
    assert "ValueError: invalid literal" in _lines(output)[0]["exception"]


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    early = get_logger("early")
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level, before = root.handlers, root.level, structlog.get_config()
    configure_logging(ServiceSettings(profile=Profile.TEST, listen="127.0.0.1:0"), stream=stream)
    early.info("hello", event="hello")
    structlog.configure(**before)
    root.handlers = handlers
    root.setLevel(level)
    assert _lines(stream)[0]["logger"] == "early"
