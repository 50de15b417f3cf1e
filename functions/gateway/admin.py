"""The page for whoever runs the service: what a browser does at /admin, with forms and links and no scripts.

What its buttons do are the private routes, asked as `gcloud functions call` asks them; only who may is asked twice. A
change is answered by a redirect, so that reloading the page repeats nothing; but for a new key, which is shown once.
"""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import flask
from flask import Request, Response

from functions.gateway import admin_html, dumps
from shared import operator_sessions, operators
from shared.errors import InvalidRequest, NotOperator, ServiceError, TooManyTries
from shared.http import Family
from shared.http.bodies import read_body
from shared.http.problems import PROBLEMS
from shared.http.routes import Call

MOST_FORM_BYTES = 4096
CLEANED_AT_ONCE = 20_000  # rows; a person waits for the answer
NO_WAY_IN = "No token is set here, so nobody gets in: OPERATOR_TOKEN is to be set."
FORM = "application/x-www-form-urlencoded"

Ask = Callable[..., Any]


def show(family: Family, *, is_operator: bool) -> Response:
    """Return the page, or the form that asks for the token."""
    if not is_operator:
        return admin_html.login("" if operators.has_token() else NO_WAY_IN)
    request = flask.request
    said = admin_html.DONE.get(request.args.get("did", ""), "")
    return _page(partial(_ask, family), said, wants_largest="largest" in request.args)


def act(family: Family, *, is_operator: bool) -> Response:
    """Do what a form of the page says."""
    form = _form(flask.request)
    action = form.pop("do", "")
    if action == "log-in":
        return _log_in(form.get("token", ""))
    if not is_operator:
        return admin_html.login("The session has ended. Log in, and do it once more.", HTTPStatus.FORBIDDEN)
    if action not in ACTIONS:
        raise InvalidRequest("The form cannot be read.", {"do": f"must be one of {', '.join(ACTIONS)}"})
    ask = partial(_ask, family)
    try:
        return ACTIONS[action](ask, form)
    except ServiceError as error:
        return _page(ask, _sentence(error), PROBLEMS[type(error)][0])


def _page(ask: Ask, said: str = "", status: int = HTTPStatus.OK, *, wants_largest: bool = False) -> Response:
    """Return the page. Where everything is small, who stores most is looked for at once."""
    try:
        overview = ask("GET /admin/overview")
        if wants_largest or not overview["accounts"]["is_estimate"]:
            overview["largest"] = ask("GET /admin/largest")["accounts"]
    except ServiceError as error:
        return admin_html.broken(_sentence(error), PROBLEMS[type(error)][0])
    return admin_html.page(overview, dumps.find(), said, status, has_session=_has_session())


def _count_expired(ask: Ask, _form: Mapping[str, str]) -> Response:
    ask("POST /cleanup", dry_run=True)
    return _back("counted")


def _clean_up(ask: Ask, _form: Mapping[str, str]) -> Response:
    ask("POST /cleanup", limit=CLEANED_AT_ONCE)
    return _back("cleaned")


def _make_key(ask: Ask, form: Mapping[str, str]) -> Response:
    return admin_html.new_key(ask("POST /backup-key", user=form.get("user", "")))


def _delete_account(ask: Ask, form: Mapping[str, str]) -> Response:
    ask("POST /admin/delete-account", account=form.get("account", ""), again=form.get("again", ""))
    return _back("deleted")


def _dump(_ask: Ask, _form: Mapping[str, str]) -> Response:
    dumps.ask_for_one()
    return _back("dump-wanted")


def _log_out(_ask: Ask, _form: Mapping[str, str]) -> Response:
    response = _back("")
    operator_sessions.end(flask.request, response)
    return response


ACTIONS: dict[str, Callable[[Ask, Mapping[str, str]], Response]] = {
    "count-expired": _count_expired,
    "clean-up": _clean_up,
    "make-key": _make_key,
    "delete-account": _delete_account,
    "dump": _dump,
    "log-out": _log_out,
}


def _log_in(presented: str) -> Response:
    try:
        session = operators.new_session(presented.strip())
    except NotOperator:
        return admin_html.login("That is not the token.", HTTPStatus.FORBIDDEN)
    except TooManyTries as error:
        return admin_html.login(f"{_sentence(error)} Wait for a minute.", HTTPStatus.TOO_MANY_REQUESTS)
    response = _back("")
    operator_sessions.keep(flask.request, response, session)
    return response


def _back(did: str) -> Response:
    """Return a redirect to the page, wherever it is."""
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": f"?did={did}"})


def _has_session() -> bool:
    return flask.request.headers.get("Authorization") is None and operator_sessions.has_cookie(flask.request)


def _ask(family: Family, name: str, **body: Any) -> Any:
    """Return what a private route answers to whoever asks for the page. Raises what it raises."""
    method, _, path = name.partition(" ")
    route = next(route for route in family.routes() if str(route) == name)
    return route.run(Call(method, path, flask.request.headers.get("Authorization"), lambda _: body), {}).get_json()


def _sentence(error: ServiceError) -> str:
    """Return what an error says to a person."""
    faults = error.errors if isinstance(error, InvalidRequest) else {}
    return " ".join([PROBLEMS[type(error)][2], *(f"{field} {message}." for field, message in faults.items())])


def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises InvalidRequest, BodyTooLarge, UnsupportedEncoding."""
    if request.mimetype != FORM:
        raise InvalidRequest(f"The body must be {FORM}.")
    try:
        return dict(parse_qsl(read_body(request, MOST_FORM_BYTES).decode(), max_num_fields=8))
    except ValueError:  # no UTF-8, or too many fields
        raise InvalidRequest("The form cannot be read.") from None
