"""A family with a bug, for what is answered and logged then."""

import flask
import functions_framework
from flask import Request, Response

from shared.http import Family

family = Family("crash")


@family.route("GET", "/crash")
def crash() -> str:
    return dict[str, str]()[flask.request.headers["X-Secret"]]


@functions_framework.http
def crashing(request: Request) -> Response:
    return family.handle(request)
