"""The one way in: whatever arrives in this process reaches its function.

functions-framework lets Flask's URL map choose, and Flask answers by itself, in HTML, what no rule of it matches: a
path with a line break, robots.txt, an upgrade on a path that is no WebSocket's. Some of those answers are 404, on which
installed apps delete their account. So nothing is chosen there.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import flask
from flask import Flask, Response

from shared import worker
from shared.http.problems import crash_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

ENDPOINT = "run"  # under which functions-framework registers the function that it serves


class Front:
    """The WSGI application in the place of Flask's own."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with self._app.request_context(environ):
            return self._answer()(environ, start_response)

    def _answer(self) -> Response:
        try:
            response: Response = self._app.view_functions[ENDPOINT](path="")  # type: ignore[assignment]
        except Exception:  # the last resort: `Family.handle` raises nothing
            log.exception("a request was not handled")
            return crash_response()
        return response


def become_the_way_in() -> None:
    """Take every request of the framework's app, where there is one: functions are loaded within its context."""
    if flask.has_app_context():
        worker.configure()
        app: Flask = flask.current_app._get_current_object()  # type: ignore[attr-defined]
        app.wsgi_app = Front(app)  # type: ignore[method-assign]
