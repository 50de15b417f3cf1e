"""Errors become `application/problem+json` (RFC 9457) here and nowhere else.

404 and 401 are destructive in installed apps (they delete their account or drop a friend), so only errors by which the
database itself spoke may have them, and a path that no app asks for. NotSubscribed is on routes of the planner alone.
"""

from datetime import timedelta

from flask import Response
from werkzeug.http import http_date

from shared import errors
from shared.http.responses import json_response

RETRY_SOON = {"Retry-After": "2"}  # seconds
RETRY_LATER = {"Retry-After": "3600"}
_LESS_THAN_A_SECOND = timedelta(microseconds=999_999)

# class: status, type, title, further headers
PROBLEMS: dict[type[errors.ServiceError], tuple[int, str, str, dict[str, str]]] = {
    errors.InvalidRequest: (400, "invalid-request", "The request is not valid.", {}),
    errors.WrongPassword: (401, "wrong-password", "The credentials are wrong.", {}),
    errors.NotOperator: (
        401, "not-operator", "Operators only.", {"WWW-Authenticate": 'Basic realm="LiftLog operators"'},
    ),
    errors.NotSubscribed: (
        401, "not-subscribed", "A subscription is needed.", {"WWW-Authenticate": "Bearer"},  # RFC 9110 §11.6.1
    ),
    errors.WrongKey: (
        401, "wrong-key", "The name or its key is wrong.", {"WWW-Authenticate": 'Basic realm="LiftLog backups"'},
    ),
    errors.BackupsOff: (403, "backups-off", "No backups are taken here.", {}),
    errors.DumpsOff: (403, "dumps-off", "No backups of the database are written here.", {}),
    errors.ForeignPage: (403, "foreign-page", "Pages of other sites may not ask for this.", {}),
    errors.UnknownUser: (404, "unknown-user", "There is no such user.", {}),
    errors.UnknownSharedItem: (404, "unknown-shared-item", "There is no such shared item.", {}),
    errors.UnknownPath: (404, "unknown-path", "There is nothing at this path.", {}),
    errors.UnknownConnection: (404, "unknown-connection", "There is no such connection.", {}),
    errors.UnknownBackup: (404, "unknown-backup", "There is no such backup.", {}),
    errors.MethodNotAllowed: (405, "method-not-allowed", "The path does not take this method.", {}),
    errors.AccountTaken: (409, "account-taken", "That is somebody's here already.", {}),
    errors.BodyTooLarge: (413, "body-too-large", "The body is larger than this request can need.", {}),
    errors.UnsupportedEncoding: (415, "unsupported-encoding", "Bodies must not be compressed.", {}),
    errors.RangeNotSatisfiable: (416, "range-not-satisfiable", "The file is shorter than that.", {}),
    errors.ModelRefused: (422, "model-refused", "The planner declines the request.", {}),
    errors.ContextFull: (422, "context-full", "The request is too long for the planner's model.", {}),
    errors.InboxFull: (429, "inbox-full", "The inbox is full.", RETRY_LATER),
    errors.QuotaExceeded: (429, "quota-exceeded", "There is no more room for this account or address.", RETRY_LATER),
    errors.RateLimited: (429, "rate-limited", "There were too many requests.", {}),
    errors.TooManyTries: (429, "too-many-tries", "There were too many wrong tries.", {"Retry-After": "60"}),
    errors.DatabaseUnavailable: (
        503, "database-unavailable", "The service cannot reach its data.", RETRY_SOON,
    ),
    errors.ModelUnavailable: (503, "model-unavailable", "The planner cannot answer now.", RETRY_SOON),
    errors.InvalidSetting: (503, "not-configured", "The service is not configured.", RETRY_SOON),
    errors.ProviderUnavailable: (503, "provider-unavailable", "A service that is needed does not answer.", RETRY_SOON),
    errors.ChatsFull: (503, "chats-full", "There are too many chats.", RETRY_SOON),
    errors.StorageFull: (503, "storage-full", "There is no room to store more.", RETRY_LATER),
    errors.Misrouted: (503, "misrouted", "The request has come to the wrong place.", RETRY_SOON),
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
    if isinstance(error, errors.AccountTaken):
        body["errors"] = [{"field": error.member, "message": "is taken"}]
    response = json_response(body, status, "application/problem+json")
    response.headers.update(headers)
    if isinstance(error, errors.MethodNotAllowed):
        response.headers["Allow"] = error.allowed
    if isinstance(error, errors.RangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.byte_count}"  # RFC 9110 §15.5.17
    if isinstance(error, errors.RateLimited):
        response.headers["Retry-After"] = http_date(error.retry_at + _LESS_THAN_A_SECOND)  # whole seconds, cut
    return response


def crash_response() -> Response:
    """Return the answer to a bug of ours. What it was goes to the log, never to the client."""
    body = {
        "type": "urn:liftlog:problem:internal-error", "title": "The service has a fault.", "status": 500,
        "detail": "The fault has been logged.",
    }  # fmt: skip
    return json_response(body, 500, "application/problem+json")
