"""The gateway: all families in one function. What a laptop runs, a self-hoster, and staging.

GET /              → a page for a person with a browser
GET /docs          → the API's description, to read and to try out
GET /openapi.json  → the same for programs

Everything else is the families' own.
"""

from importlib import import_module
from pathlib import Path
from string import Template

import functions_framework
import yaml
from flask import Request, Response

from functions.gateway import docs, setup
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


@functions_framework.http
def gateway(request: Request) -> Response:
    return family.handle(request)
