"""What is answered to requests that reach no function: those that are no HTTP, and those for which there is no room."""

import logging
from http import HTTPStatus

from gunicorn.http import errors

from shared import logs
from shared.metrics import registry

log = logging.getLogger(__name__)

_OURS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


def of(error: Exception) -> bytes:
    """Return the answer to what could not be read. Nothing of it is logged: it may be anything."""
    logs.start()
    is_fault = isinstance(error, _OURS) or not isinstance(error, errors.ParseException)
    status = HTTPStatus.INTERNAL_SERVER_ERROR if is_fault else _STATUSES.get(type(error), HTTPStatus.BAD_REQUEST)
    log.log(
        logging.ERROR if is_fault else logging.INFO,
        "not HTTP",
        extra={"error_type": type(error).__name__, "status": status.value},
        exc_info=error if is_fault else None,
    )
    registry.count("liftlog_errors_total", type=type(error).__name__)
    return _problem(status, "internal-error" if is_fault else "not-http")


def overloaded() -> bytes:
    """Return the answer to a request that would take more memory than there is."""
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Retry-After: 2\r\n")


def _problem(status: HTTPStatus, slug: str, headers: str = "") -> bytes:
    body = f'{{"type":"urn:liftlog:problem:{slug}","title":"{status.phrase}","status":{status.value}}}'
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/problem+json\r\n{headers}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return (head + body).encode()
