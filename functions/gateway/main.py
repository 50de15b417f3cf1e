"""The gateway: all families in one function. What a laptop runs, a self-hoster, and staging.

GET /              → a page for a person with a browser
GET /docs          → the API's description, to read and to try out
GET /openapi.json  → the same for programs
GET /chat          → a page to talk with the planner
GET /admin         → a page for whoever runs it; POST /admin is what its forms send

Everything else is the families' own.
"""

from importlib import import_module
from pathlib import Path
from string import Template

import functions_framework
import yaml
from flask import Request, Response

from functions.gateway import admin, chat, docs, setup
from shared import operators
from shared.data import database, readiness
from shared.errors import DatabaseUnavailable
from shared.http import Family, browsers

MANIFEST = Path(__file__).parent.parent / "manifest.yaml"
PAGE = Template((Path(__file__).parent / "page.html").read_text())
family = Family("gateway")


def families() -> list[Family]:
    """Return the families of the manifest in its order. The private ones check themselves who may use them."""
    manifest = yaml.safe_load(MANIFEST.read_text())
    return [import_module(f"functions.{name}.main").family for name in manifest["functions"]]


family.include(families())


@family.route("GET", "/")
def get_page() -> Response:
    try:
        readiness.check(database())
    except DatabaseUnavailable:
        return browsers.page(PAGE.substitute(state="not ready: the database does not answer", setup=""), 503)
    return browsers.page(PAGE.substitute(state="ready", setup=setup.in_html()))


@family.route("GET", "/docs")
def get_docs() -> Response:
    return docs.page()


@family.route("GET", "/openapi.json")
def get_description() -> Response:
    return Response(docs.DESCRIPTION.read_bytes(), mimetype="application/json")


@family.route("GET", "/chat")
def get_chat() -> Response:
    return chat.page()


@family.route("GET", "/admin", guard=operators.admits, guarded="is_operator")
def get_admin(*, is_operator: bool) -> Response:
    return admin.show(family, is_operator=is_operator)


@family.route("POST", "/admin", guard=operators.admits, guarded="is_operator")
def post_admin(*, is_operator: bool) -> Response:
    return admin.act(family, is_operator=is_operator)


@functions_framework.http
def gateway(request: Request) -> Response:
    return family.handle(request)
