"""Errors become `application/problem+json` (RFC 9457) here and nowhere else.

404 and 401 are destructive in installed apps (they delete their account or drop a friend), so only errors by which the
database itself spoke may have them, and a path that no route has.
"""

import logging

from flask import Response

from shared import errors
from shared.http.responses import json_response

log = logging.getLogger(__name__)

RETRY_SOON = {"Retry-After": "2"}  # seconds
RETRY_LATER = {"Retry-After": "3600"}
OURS = 503  # the status of every fault that is not the client's

# class: status, type, title, further headers
PROBLEMS: dict[type[errors.ServiceError], tuple[int, str, str, dict[str, str]]] = {
    errors.InvalidRequest: (400, "invalid-request", "The request is not valid.", {}),
    errors.WrongPassword: (401, "wrong-password", "The credentials are wrong.", {}),
    errors.UnknownUser: (404, "unknown-user", "There is no such user.", {}),
    errors.UnknownSharedItem: (404, "unknown-shared-item", "There is no such shared item.", {}),
    errors.UnknownPath: (404, "unknown-path", "There is nothing at this path.", {}),
    errors.MethodNotAllowed: (405, "method-not-allowed", "The path does not take this method.", {}),
    errors.BodyTooLarge: (413, "body-too-large", "The body is larger than this request can need.", {}),
    errors.UnsupportedEncoding: (415, "unsupported-encoding", "Bodies must not be compressed.", {}),
    errors.InboxFull: (429, "inbox-full", "The inbox is full.", RETRY_LATER),
    errors.DatabaseUnavailable: (
        503, "database-unavailable", "The service cannot reach its data.", RETRY_SOON,
    ),
    errors.InvalidSetting: (503, "not-configured", "The service is not configured.", RETRY_SOON),
    errors.Overloaded: (503, "overloaded", "The service is busy.", RETRY_SOON),
}  # fmt: skip


def problem_response(error: errors.ServiceError) -> Response:
    """Return the answer that says what happened."""
    status, slug, title, headers = PROBLEMS[type(error)]
    body: dict[str, object] = {"type": f"urn:liftlog:problem:{slug}", "title": title, "status": status}
    if isinstance(error, errors.InvalidRequest):
        body["detail"] = error.detail
        body["errors"] = [{"field": field, "message": message} for field, message in error.errors.items()]
    else:
        body["detail"] = (type(error).__doc__ or title).split("\n")[0]
    if status == OURS:
        log.error("%s: %s", slug, error)  # the message names a cause or a variable, never a value
    response = json_response(body, status, "application/problem+json")
    response.headers.update(headers)
    if isinstance(error, errors.MethodNotAllowed):
        response.headers["Allow"] = error.allowed
    return response


def crash_response() -> Response:
    """Return the answer to a bug of ours. The traceback goes to the log, never to the client."""
    log.exception("unhandled exception")
    body = {
        "type": "urn:liftlog:problem:internal-error", "title": "The service has a fault.", "status": 500,
        "detail": "The fault has been logged.",
    }  # fmt: skip
    return json_response(body, 500, "application/problem+json")
