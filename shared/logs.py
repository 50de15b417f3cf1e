"""Logs: one line of JSON per event on standard output, in the form that Cloud Logging reads; plain text on a terminal.

Fields given as `extra` become fields of the line. What belongs to the request being answered (its id, its trace) is on
every line that is written meanwhile. Nothing that a client sent is logged but its method, its route and its ids.
(Google Cloud: "Structured logging", special fields in `jsonPayload`.)
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from traceback import extract_tb, format_list
from typing import Any

from shared.settings.operation import log_settings

request_fields: ContextVar[Mapping[str, Any]] = ContextVar("request_fields", default={})  # noqa: B039 - never changed

_SEVERITIES = {  # Python's levels as Cloud Logging calls them
    logging.DEBUG: "DEBUG", logging.INFO: "INFO", logging.WARNING: "WARNING", logging.ERROR: "ERROR",
    logging.CRITICAL: "CRITICAL",
}  # fmt: skip
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str, separators=(",", ":"))
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}  # what is no `extra`


@cache
def start() -> None:
    """Have this process log. Done at the first request: whoever only imports a function keeps their own logging."""
    on_terminal = sys.stdout.isatty()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(TextFormatter() if on_terminal else JsonFormatter())
    logging.basicConfig(handlers=[handler], level=log_settings().level, force=True)
    # Python's "Logging HOWTO", Optimization: what no line of ours says is not found out
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


class JsonFormatter(logging.Formatter):
    """A line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "severity": _SEVERITIES.get(record.levelno, "DEFAULT"),
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "logger": record.name,
        }
        line |= {**request_fields.get(), **extra_fields(record)}
        if record.exc_info:
            line |= exception_fields(record.exc_info[1])
        return _ENCODER.encode(line)


class TextFormatter(logging.Formatter):
    """A line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = extra_fields(record)
        shown = " ".join(f"{name}={value}" for name, value in fields.items() if isinstance(value, str | int | float))
        line = f"{time} {record.levelname:<7} {record.getMessage()} {shown}".rstrip()
        if record.exc_info:
            line += "\n" + exception_fields(record.exc_info[1]).get("stack", "")
        return line


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the record was given as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def exception_fields(error: BaseException | None) -> dict[str, str]:
    """Return the kind of an exception and where it was raised, never its message, which may hold what a client sent."""
    if error is None:
        return {}
    return {"error_type": type(error).__name__, "stack": "".join(format_list(extract_tb(error.__traceback__)))}
