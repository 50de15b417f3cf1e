"""A family: the routes of one function and the way a request takes through them.

handle → envelope or path → route → guard → body (size, JSON, fields) → handler → answer or problem → common headers
"""

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from flask import Request, Response

from shared.errors import InvalidRequest, InvalidSetting, ServiceError, UnknownPath
from shared.http import strict_json
from shared.http.bodies import SLACK_BYTES, read_body
from shared.http.browsers import allow_any_origin, inform, preflight
from shared.http.front import become_the_way_in
from shared.http.observing import Observation
from shared.http.problems import crash_response, problem_response
from shared.http.responses import compress
from shared.http.routes import Call, Guard, Handler, Route, RouteTable
from shared.http.schema import WireSchema
from shared.memory import budget
from shared.worker import uploads
from shared.worker.incoming import MOST_BODY_BYTES

log = logging.getLogger(__name__)

COPIES_OF_BODY = 4  # that exist at once: text, its values, decoded, as the database gets it
WITHOUT_CONTENT = frozenset({101, 204})


class Family:
    """The routes of one function. `handle` is what its entry point calls."""

    def __init__(self, name: str, *, operation: str | None = None, is_probe: bool = False) -> None:
        """`operation`: the route, like "POST /migrate", that a plain POST to `/` means in a function with just one.

        `is_probe`: whoever asks wants to know whether the process lives, and waits for nothing that is not theirs.
        """
        self.name = name
        self._operation = operation
        self._is_probe = is_probe
        self._table = RouteTable()
        become_the_way_in()

    def route(
        self,
        method: str,
        path: str,
        *,
        guard: Guard | None = None,
        body: type[WireSchema] | None = None,
        answer: type[WireSchema] | None = None,
        credentials: bool = False,
        stores: bool | None = None,
        upload_bytes: Callable[[], int] | None = None,
        uploads_at_once: int = uploads.MOST_UPLOADS,
        guarded: str = "subscriber",
    ) -> Callable[[Handler], Handler]:
        """Register a handler. Its arguments are the body's fields and the names in braces in the path.

        A guard is asked before the body is read, unless the body may stand for its header; what it returns is the
        handler's argument of the name that `guarded` gives.
        `credentials`: browsers send theirs along, and want to be told that they may. `stores`: it is refused where the
        database's disk is full; default: what is PUT does. `upload_bytes`: its body is no JSON but a file of as many
        bytes at most as that says, the handler's argument `upload`; the guard is asked before it is taken in, and once
        more after. `uploads_at_once`: of them, in one process; below the most of all, so that others find room, too.
        """
        if upload_bytes is not None:
            uploads.accept(method, path, upload_bytes, uploads_at_once)
        body_schema = body() if body else None
        needed = body_schema.max_json_bytes() if body_schema else 0

        def register(handler: Handler) -> Handler:
            self._table.add(
                Route(
                    family=self.name,
                    is_probe=self._is_probe,
                    method=method,
                    path=path,
                    handler=handler,
                    guard=guard,
                    body=body_schema,
                    answer=answer() if answer else None,
                    max_body_bytes=min(needed + SLACK_BYTES, MOST_BODY_BYTES),
                    credentials=credentials,
                    stores=method == "PUT" if stores is None else stores,
                    upload_bytes=upload_bytes,
                    guarded=guarded,
                )
            )
            return handler

        return register

    def include(self, families: Iterable["Family"]) -> None:
        """Take over the routes of other families, to serve them all in one function."""
        for family in families:
            for route in family.routes():
                self._table.add(route)

    def routes(self) -> tuple[Route, ...]:
        """Return the routes in the order of their registration."""
        return self._table.all()

    def handle(self, request: Request) -> Response:
        """Answer a request. Raises nothing."""
        if uploads.HEAD_ALONE in request.environ:
            return self._judge_head(request)
        try:
            observation = Observation(self.name, request)
        except InvalidSetting as error:
            log.log(logging.ERROR, "%s", error)  # on standard error, as long as there is no log
            return problem_response(error)
        try:
            response = preflight(request) if request.method == "OPTIONS" else self._answer(request, observation)
        except ServiceError as error:
            observation.error = error
            response = problem_response(error)
        except Exception as error:  # the edge: whatever nobody caught is a bug of ours
            observation.error = error
            response = crash_response()
        compress(request, response)
        if response.status_code in WITHOUT_CONTENT:
            response.headers.pop("Content-Type", None)  # Flask's, of HTML
        inform(response)
        if observation.route is None or not observation.route.is_private:
            allow_any_origin(request, response, credentials=self._table.wants_credentials(request.path))
        observation.end(response)
        return response

    def _judge_head(self, request: Request) -> Response:
        """Return 100 if an upload is welcome, else what will be said again, counted and logged, at its end."""
        try:
            call = self._plain_call(request)
            self._table.find(call.method, call.path)[0].judge_head(call)
        except ServiceError as error:
            return problem_response(error)
        return Response(status=HTTPStatus.CONTINUE)

    def _plain_call(self, request: Request) -> Call:
        authorization = request.headers.get("Authorization")
        return Call(request.method, request.path, authorization, lambda max_bytes: _json_body(request, max_bytes))

    def _answer(self, request: Request, observation: Observation) -> Response:
        if request.method == "POST" and request.path == "/":
            call = self._enveloped_call(request)
        else:
            call = self._plain_call(request)
        route, path_arguments = self._table.find(call.method, call.path)
        observation.route = route
        return route.run(call, path_arguments)

    def _enveloped_call(self, request: Request) -> Call:
        """Return the call that a POST to `/` holds: `{"route": "GET /user/abc", "body": {…}?, "headers": {…}?}`.

        `gcloud functions call` can send nothing else, and its own Authorization header is the operator's, so that of
        the call is among the envelope's headers. Raises UnknownPath if there is no text `route`, InvalidRequest.
        """
        envelope = _json_body(request, MOST_BODY_BYTES)
        route = envelope.get("route") if isinstance(envelope, dict) else None
        if isinstance(route, str):
            body, headers = envelope.get("body"), envelope.get("headers")
        else:
            route, body, headers = self._operation, envelope, None
        if route is None:
            raise UnknownPath
        method, separator, path = route.partition(" ")
        if not separator or not path.startswith("/"):
            raise InvalidRequest("The envelope cannot be read.", {"route": 'must be like "GET /user/abc"'})
        return Call(method.upper(), unquote(path), _authorization(headers), lambda _max_bytes: body)


def _authorization(headers: Any) -> str | None:
    """Return the Authorization header among an envelope's headers, whatever its case. Raises InvalidRequest."""
    if headers is None:
        return None
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise InvalidRequest("The envelope cannot be read.", {"headers": "must be an object of texts"})
    found: list[str] = [value for name, value in headers.items() if name.lower() == "authorization"]
    if len(found) > 1:
        raise InvalidRequest("The envelope cannot be read.", {"headers": "hold Authorization twice"})
    return found[0] if found else None


def _json_body(request: Request, max_bytes: int) -> Any:
    body = read_body(request, max_bytes)
    budget().reserve(COPIES_OF_BODY * len(body))
    return strict_json.parse(body) if body else None
