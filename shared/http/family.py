"""A family: the routes of one function and the way a request takes through them.

handle → envelope or path → route → guard → body (size, JSON, fields) → handler → answer or problem → common headers
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from flask import Request, Response

from shared.errors import (
    DatabaseUnavailable,
    InvalidRequest,
    InvalidSetting,
    MethodNotAllowed,
    ServiceError,
    UnknownPath,
)
from shared.http import strict_json
from shared.http.bodies import LARGEST_BODY_BYTES, SLACK_BYTES, closing, drain, read_body
from shared.http.observing import Observation
from shared.http.problems import crash_response, problem_response
from shared.http.responses import JsonText, allow_any_origin, compress, json_response, preflight
from shared.http.schema import WireSchema
from shared.settings import maintenance_settings

log = logging.getLogger(__name__)

CLOSES_CONNECTION = frozenset({413, 415})
Handler = Callable[..., Any]
Guard = Callable[[str | None], Any]  # takes the Authorization header; raises if it does not let the request in


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for, whether it came as itself or inside the envelope of `gcloud functions call`."""

    method: str
    path: str
    authorization: str | None
    body: Callable[[int], Any]  # takes the most bytes it may have; returns the JSON value, None if there is none


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of a family."""

    family: str
    is_probe: bool
    method: str
    path: str
    handler: Handler
    guard: Guard | None
    body: WireSchema | None
    answer: WireSchema | None
    max_body_bytes: int
    credentials: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def run(self, call: Call, path_arguments: dict[str, str]) -> Response:
        """Ask the guard, check the request's body, run the handler, and return its answer."""
        if not self.is_probe and maintenance_settings().refuses:
            raise DatabaseUnavailable("MAINTENANCE is true")
        arguments: dict[str, Any] = dict(path_arguments)
        if self.guard is not None:
            subscriber = self.guard(call.authorization)
            if subscriber is not None:
                arguments["subscriber"] = subscriber
        if self.body is not None:
            value = call.body(self.max_body_bytes)
            arguments |= self.body.parse({} if value is None else value)
        result = self.handler(**arguments)
        if isinstance(result, Response):
            return result
        if result is None:
            return json_response({})
        if self.answer is None or isinstance(result, JsonText):
            return json_response(result)
        return json_response(self.answer.dump(result))


class Family:
    """The routes of one function. `handle` is what its entry point calls."""

    def __init__(self, name: str, *, operation: str | None = None, is_probe: bool = False) -> None:
        """`operation`: the route, like "POST /migrate", that a plain POST to `/` means in a function with just one.

        `is_probe`: whoever asks wants to know whether the process lives, and waits for nothing that is not theirs.
        """
        self.name = name
        self._operation = operation
        self._is_probe = is_probe
        self._routes: list[Route] = []
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        self._with_credentials: set[str] = set()

    def route(
        self,
        method: str,
        path: str,
        *,
        guard: Guard | None = None,
        body: type[WireSchema] | None = None,
        answer: type[WireSchema] | None = None,
        credentials: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler. Its arguments are the body's fields and the names in braces in the path.

        A guard is asked before the body is read; what it returns is the handler's argument `subscriber`.
        `credentials`: browsers send theirs along, and want to be told that they may.
        """
        body_schema = body() if body else None
        needed = body_schema.max_json_bytes() if body_schema else 0

        def register(handler: Handler) -> Handler:
            self._add(
                Route(
                    family=self.name,
                    is_probe=self._is_probe,
                    method=method,
                    path=path,
                    handler=handler,
                    guard=guard,
                    body=body_schema,
                    answer=answer() if answer else None,
                    max_body_bytes=min(needed + SLACK_BYTES, LARGEST_BODY_BYTES),
                    credentials=credentials,
                )
            )
            return handler

        return register

    def include(self, families: Iterable["Family"]) -> None:
        """Take over the routes of other families, to serve them all in one function."""
        for family in families:
            for route in family.routes():
                self._add(route)

    def routes(self) -> tuple[Route, ...]:
        """Return the routes in the order of their registration."""
        return tuple(self._routes)

    def handle(self, request: Request) -> Response:
        """Answer a request. Raises nothing."""
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
        if not drain(request) or response.status_code in CLOSES_CONNECTION:
            response = closing(response)
        else:
            compress(request, response)
        allow_any_origin(request, response, credentials=plain_path(request.path) in self._with_credentials)
        observation.end(response)
        return response

    def _answer(self, request: Request, observation: Observation) -> Response:
        if request.method == "POST" and request.path == "/":
            call = self._enveloped_call(request)
        else:
            authorization = request.headers.get("Authorization")
            call = Call(request.method, request.path, authorization, lambda max_bytes: _json_body(request, max_bytes))
        route, path_arguments = self._find(call.method, call.path)
        observation.route = route
        return route.run(call, path_arguments)

    def _enveloped_call(self, request: Request) -> Call:
        """Return the call that a POST to `/` holds: `{"route": "GET /user/abc", "body": {…}?, "headers": {…}?}`.

        `gcloud functions call` can send nothing else, and its own Authorization header is the operator's, so that of
        the call is among the envelope's headers. Raises UnknownPath if there is no text `route`, InvalidRequest.
        """
        envelope = _json_body(request, LARGEST_BODY_BYTES)
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

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a path and the arguments in it. Raises UnknownPath, MethodNotAllowed."""
        if "\0" in path:
            raise InvalidRequest("The path holds a NUL character.")
        plain = plain_path(path)
        path = path[len(path) - len(plain) :]
        by_method = self._fixed.get(plain)
        arguments: dict[str, str] = {}
        if by_method is None:
            by_method, arguments = self._match(path)
        route = by_method.get("GET" if method == "HEAD" else method)
        if route is None:
            implied = ("HEAD", "OPTIONS") if "GET" in by_method else ("OPTIONS",)
            raise MethodNotAllowed(", ".join([*by_method, *implied]))
        return route, arguments

    def _match(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        for pattern, by_method in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                return by_method, match.groupdict()
        raise UnknownPath

    def _add(self, route: Route) -> None:
        if "{" in route.path:
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path), re.IGNORECASE)
            for known, by_method in self._patterns:
                if known == pattern:
                    by_method[route.method] = route
                    break
            else:
                self._patterns.append((pattern, {route.method: route}))
        else:
            self._fixed.setdefault(route.path, {})[route.method] = route
        if route.credentials:
            self._with_credentials.add(route.path)
        self._routes.append(route)


def plain_path(path: str) -> str:
    """Return a path as routes name it: the original's ignore case, and everything is also below /v2."""
    plain = path.lower()
    return plain[3:] if plain.startswith("/v2/") else plain


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
    return strict_json.parse(body) if body else None
