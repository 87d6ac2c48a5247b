"""Logging as text or JSON lines; what comes from outside can neither break a line nor colour it."""

import logging
import logging.config
from typing import Any

import structlog

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {10: "\\n", 13: "\\r"}


def _plain(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters; a traceback, which is ours, keeps its lines."""
    return {
        key: value.translate(_CONTROL) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


def _is_news(record: logging.LogRecord) -> bool:
    """Not that an answer was cut short: only downloads are, on purpose, when the right to them ends."""
    return not record.getMessage().startswith("ASGI callable returned without completing response")


def configure(log_format: str) -> None:
    """Send everything to standard error as `text` or `json`."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _plain,
    ]
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Libraries that tell of every connection or packet, some with its query string (and so its token);
    # what matters of it is counted by ours.
    for name in (
        "amqtt", "transitions", "engineio", "socketio", "uvicorn", "uvicorn.error", "peewee", "httpx",
        "httpcore",
    ):  # fmt: skip
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
