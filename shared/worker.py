"""The gunicorn worker that serves functions, as it must be where nothing stands between it and the internet.

functions-framework chooses gunicorn's settings and has no options for these. Functions are loaded before their server
is configured, so what they import may change what is configured by default.
"""

import logging
import socket
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn import config
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from shared import logs
from shared.metrics import registry

log = logging.getLogger(__name__)

LONGEST_REQUEST_LINE_BYTES = 8190  # the framework sets 0, which is none: an endless line costs the square of its length
_OURS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class Worker(ThreadWorker):  # type: ignore[misc]
    """Answers broken HTTP as everything else is answered, and bounds what it reads."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cfg.set("limit_request_line", LONGEST_REQUEST_LINE_BYTES)

    def handle_error(self, _req: Any, client: socket.socket, _addr: Any, exc: Exception) -> None:
        """Answer what could not be read, and hang up. Nothing of it is logged: it may be anything."""
        logs.start()
        is_fault = isinstance(exc, _OURS) or not isinstance(exc, errors.ParseException)
        status = HTTPStatus.INTERNAL_SERVER_ERROR if is_fault else _STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
        log.log(
            logging.ERROR if is_fault else logging.INFO,
            "not HTTP",
            extra={"error_type": type(exc).__name__, "status": status.value},
            exc_info=exc if is_fault else None,
        )
        registry.count("liftlog_errors_total", type=type(exc).__name__)
        slug = "internal-error" if is_fault else "not-http"
        body = f'{{"type":"urn:liftlog:problem:{slug}","title":"{status.phrase}","status":{status.value}}}'
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        with suppress(OSError):
            client.sendall((head + body).encode())


def configure() -> None:
    """Have gunicorn use this worker, and believe no header about where a request was meant to go."""
    config.WorkerClass.default = Worker
    config.ForwarderHeaders.default = ""  # SCRIPT_NAME and PATH_INFO would move any request to a 404
    config.ForwardedAllowIPS.default = ""
