"""Routes: what a request asks for, which operation that is, and how the operation is run."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import flask
from flask import Response

from shared import operators, storage
from shared.errors import (
    BodyTooLarge,
    DatabaseUnavailable,
    InvalidRequest,
    MethodNotAllowed,
    Misrouted,
    StorageFull,
    UnknownPath,
    UnsupportedEncoding,
)
from shared.http.bodies import read_upload, refuse_by_head
from shared.http.browsers import refuse_foreign_pages
from shared.http.responses import JsonText, json_response
from shared.http.schema import WireSchema
from shared.paths import bare_path
from shared.settings.operation import maintenance_settings

# What installed apps ask for, of whichever function. They delete their account on a 404 there, so where this function
# has no route of such a path, a proxy or the balancer has erred. A test holds it against the manifest.
APP_PATHS = (
    "users?", "user/[^/]+", "events?", "follow-secret(/delete)?", "inbox", "shareditem(/[^/]+)?",
    "ai/(workout|session)", "ai-chat(-v2)?(/negotiate)?", "backup(/[^/]+)?",
)  # fmt: skip
APP_PATH_AT_END = re.compile(rf"/({'|'.join(APP_PATHS)})\Z", re.IGNORECASE)
Handler = Callable[..., Any]
# takes the Authorization header, or what stands for it in the body; raises if it does not let the request in
Guard = Callable[[str | None], Any]


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
    stores: bool  # more than it may replace or delete
    upload_bytes: Callable[[], int] | None  # its body is a file of so many bytes at most; None: it is JSON
    guarded: str  # the handler's argument that the guard returns

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_private(self) -> bool:
        """Tell whether the route is for operators."""
        return self.guard in (operators.authorize, operators.admits)

    def _refuse_if_closed(self) -> None:
        """Raises what keeps this route from being asked now, whoever asks."""
        if not self.is_probe and maintenance_settings().refuses:
            raise DatabaseUnavailable("MAINTENANCE is true")
        if self.stores and storage.is_full():
            raise StorageFull

    def _authorization(self, call: Call, body: Callable[[], Any]) -> str | None:
        """Return the Authorization header, or what stands for it in the body of a route that has such a member.

        Nothing stands in a body that cannot be read.
        """
        if call.authorization is not None or self.body is None or not self.body.holds_authorization:
            return call.authorization
        try:
            return self.body.authorization(body())
        except (InvalidRequest, BodyTooLarge, UnsupportedEncoding):
            return None

    def judge_head(self, call: Call) -> None:
        """Raise what is wrong with an upload before its body has come."""
        self._let_in(call, lambda: None)
        if self.upload_bytes is not None:
            refuse_by_head(flask.request, self.upload_bytes())

    def _let_in(self, call: Call, body: Callable[[], Any]) -> dict[str, Any]:
        """Return what the guard says of who asks, as a handler's argument. Raises what keeps them out."""
        self._refuse_if_closed()
        if self.is_private:
            refuse_foreign_pages(flask.request)
        found = self.guard(self._authorization(call, body)) if self.guard else None
        return {} if found is None else {self.guarded: found}

    def run(self, call: Call, path_arguments: dict[str, str]) -> Response:
        """Ask the guard, check the request's body, run the handler, and return its answer."""
        body = cache(lambda: call.body(self.max_body_bytes))  # read once, whoever asks first
        arguments = path_arguments | self._let_in(call, body)
        if self.body is not None:
            value = body()
            arguments |= self.body.parse({} if value is None else value)
        if self.upload_bytes is not None:
            arguments["upload"] = read_upload(flask.request, self.upload_bytes())
        result = self.handler(**arguments)
        if isinstance(result, Response):
            return result
        if result is None:
            return json_response({})
        if self.answer is None or isinstance(result, JsonText):
            return json_response(result)
        return json_response(self.answer.dump(result))


class RouteTable:
    """Routes by their paths. What has no argument in its path is found first."""

    def __init__(self) -> None:
        self._all: list[Route] = []
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        self._with_credentials: set[str] = set()

    def all(self) -> tuple[Route, ...]:
        """Return the routes in the order of their registration."""
        return tuple(self._all)

    def add(self, route: Route) -> None:
        """Add a route, in place of one of the same method and path."""
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
        self._all.append(route)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a path and the arguments in it. Raises UnknownPath, Misrouted, MethodNotAllowed."""
        if "\0" in path:
            raise InvalidRequest("The path holds a NUL character.")
        path = bare_path(path)
        by_method = self._fixed.get(path.lower())
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
        if APP_PATH_AT_END.search(path):
            raise Misrouted
        raise UnknownPath

    def wants_credentials(self, path: str) -> bool:
        """Tell whether browsers send credentials along to this path, and want to be told that they may."""
        return bare_path(path).lower() in self._with_credentials
