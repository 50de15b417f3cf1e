"""What is seen of a request: one log line, what it adds to the metrics, and the ids by which it is found again.

The route's pattern is logged and counted, never the path, which holds ids and lookups.
"""

import logging
import re
import threading
import time
from typing import Any
from uuid import uuid4

from flask import Request, Response
from werkzeug.datastructures import Headers

from shared import errors, logs
from shared.http.routes import Route
from shared.metric_writer import writer
from shared.metrics import observation, registry, series
from shared.settings.operation import log_settings

log = logging.getLogger(__name__)

SERVER_ERROR = 500
UNKNOWN_ROUTE = "unknown"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_AUTHENTICATION = (errors.WrongPassword, errors.NotSubscribed, errors.NotOperator, errors.WrongKey)
_WARNED_OF = frozenset({401, 403, 429})
_REQUEST_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")  # W3C Trace Context, §3.2
_CLOUD_TRACE = re.compile(r"([0-9a-f]{32})(?:/(\d{1,20}))?(?:;o=([01]))?", re.IGNORECASE | re.ASCII)


class _InFlight:
    """How many requests are being answered."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def change(self, by: int) -> None:
        with self._lock:
            self.count += by


in_flight = _InFlight()
registry.gauge("liftlog_http_requests_in_flight", lambda: in_flight.count)


class Observation:
    """Of one request, from its first line to its answer."""

    def __init__(self, function: str, request: Request) -> None:
        """Begin to observe. Raises InvalidSetting if what is seen cannot be kept as the settings say."""
        logs.start()
        self._writer = writer()
        self._start = time.perf_counter()
        self._function = function
        self._request = request
        self._request_id = _request_id(request.headers.get("X-Request-Id", ""))
        self._context = logs.request_fields.set({"request_id": self._request_id} | _trace(request.headers))
        self.route: Route | None = None
        self.error: Exception | None = None
        in_flight.change(1)

    def end(self, response: Response) -> None:
        """Name the request in its answer, count it, log it, and write the metrics if it is time to."""
        response.headers["X-Request-Id"] = self._request_id
        seconds = time.perf_counter() - self._start
        self._count(response.status_code, seconds)
        self._log(response, seconds)
        in_flight.change(-1)
        if not self._is_probe and response.status_code < SERVER_ERROR:
            self._writer.write_if_due()
        logs.request_fields.reset(self._context)
        self.error = None  # whose traceback holds the request's body, and this: a cycle, which may stay for long

    @property
    def _is_probe(self) -> bool:
        return self.route is not None and self.route.is_probe

    @property
    def _names(self) -> tuple[str, str, str]:
        """The function, the method and the route's pattern, of which there are few."""
        if self.route is not None:
            return self.route.family, self.route.method, self.route.path
        method = self._request.method
        return self._function, method if method in _METHODS else "other", UNKNOWN_ROUTE

    @property
    def _error_type(self) -> str | None:
        if self.error is None:
            return None
        if isinstance(self.error, _AUTHENTICATION):
            return "AuthenticationError"
        return type(self.error).__name__

    def _count(self, status: int, seconds: float) -> None:
        function, method, route = self._names
        counts = observation(
            "liftlog_http_request_duration_seconds", seconds, function=function, method=method, route=route
        )
        counts[
            series("liftlog_http_requests_total", function=function, method=method, route=route, status=str(status))
        ] = 1
        if self._error_type is not None:
            counts[series("liftlog_errors_total", type=self._error_type)] = 1
        registry.add(counts)

    def _log(self, response: Response, seconds: float) -> None:
        function, method, route = self._names
        status = response.status_code
        fields: dict[str, Any] = {
            "function": function, "route": route, "status": status, "duration_ms": round(seconds * 1000, 3),
            "httpRequest": {
                "requestMethod": method, "requestUrl": route, "status": status, "latency": f"{seconds:.6f}s",
                "responseSize": str(response.content_length or 0), "protocol": self._request.environ["SERVER_PROTOCOL"],
            },
        }  # fmt: skip
        if self._error_type is not None:
            fields["error_type"] = self._error_type
        unforeseen = not isinstance(self.error, errors.ServiceError | None)
        if status >= SERVER_ERROR and not unforeseen:
            fields["cause"] = str(self.error)  # names a cause or a variable, never a value
        level = logging.DEBUG if self._is_probe and status < SERVER_ERROR else _level(status)  # there are many
        log.log(level, "%s %s %d", method, route, status, extra=fields, exc_info=self.error if unforeseen else None)


def _level(status: int) -> int:
    if status >= SERVER_ERROR:
        return logging.ERROR
    return logging.WARNING if status in _WARNED_OF else logging.INFO


def _request_id(given: str) -> str:
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


def _trace(headers: Headers) -> dict[str, Any]:
    """Return the fields by which Cloud Logging shows a line below its trace."""
    parent = _TRACE_PARENT.fullmatch(headers.get("traceparent", ""))
    cloud = _CLOUD_TRACE.fullmatch(headers.get("X-Cloud-Trace-Context", ""))
    if parent:
        trace, span, sampled = parent[1], parent[2], bool(int(parent[3], 16) & 1)
    elif cloud:
        trace, span, sampled = cloud[1].lower(), f"{int(cloud[2] or 0):016x}", cloud[3] == "1"
    else:
        return {}
    project = log_settings().project_id
    return {
        "logging.googleapis.com/trace": f"projects/{project}/traces/{trace}" if project else trace,
        "logging.googleapis.com/spanId": span,
        "logging.googleapis.com/trace_sampled": sampled,
    }
