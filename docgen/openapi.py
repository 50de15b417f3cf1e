"""`make openapi`: the API's description (OpenAPI 3.1), made of the families' routes, schemas and docstrings.

A family's docstring has a line for each route, `METHOD /path  what is sent → 200 what comes · 404 · …`: what it
takes and answers. Limits and forms come from the schemas, errors from the table of problems. Nothing is said twice.
"""

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import marshmallow
import yaml

from functions.backup import keys
from functions.own_data import newcomers
from functions.own_data.schemas import AccountDocument
from shared import errors, operators, subscriptions
from shared.backup_keys import NAME
from shared.http import WireSchema, fields
from shared.http.family import Family
from shared.http.problems import PROBLEMS
from shared.http.routes import Route

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "openapi.json"
MANIFEST = ROOT / "functions" / "manifest.yaml"
Json = dict[str, Any]

_LINE = re.compile(r"^(GET|POST|PUT|DELETE) +(/[^\s,]+(?:, /[^\s,]+)*) +(.*?) *→ *(.+)$", re.MULTILINE)
_ANSWER = re.compile(r"(\d{3})[ ,]*(.*)")
_MEANINGS = {
    101: "The connection becomes a WebSocket.", 200: "It is done.", 202: "It has ended.",
    204: "There is nothing more to come.", 304: "You have it already.",
    416: "The file is shorter than that.", 400: "The request is not valid.",
    413: "The body is larger than this request can need.", 415: "Bodies must not be compressed.",
    401: "The credentials are wrong.", 403: "This server does not do that.",
    404: "The database has no such thing.", 422: "The planner declines the request.",
    429: "There were too many; `Retry-After` says when to come again.",
}  # fmt: skip
_EVERYWHERE = (errors.DatabaseUnavailable,)
_WITH_BODY = (errors.InvalidRequest, errors.BodyTooLarge, errors.UnsupportedEncoding)
_PRIVATE = (errors.NotOperator, errors.ForeignPage)
_BACKUP_KEY: list[dict[str, list[str]]] = [{"backupKey": []}, {"backupKeyAsBearer": []}, {"backupKeyInBrowser": []}]
_GUARDS: dict[Any, list[dict[str, list[str]]]] = {
    subscriptions.guard: [{"subscription": []}],
    operators.authorize: [{"operator": []}, {"operatorInBrowser": []}],
    keys.owner: _BACKUP_KEY,
    keys.presented: _BACKUP_KEY,
    newcomers.admit: [{"newcomer": []}],
}
_QUERIES: dict[Any, list[Json]] = {  # what a guard reads of the query
    guard: [
        {
            "name": "user", "in": "query", "required": False,
            "schema": {"type": "string", "pattern": f"^{NAME.pattern}$"},
            "description": "whose backups; may be the user of Basic instead",
        }
    ]
    for guard in (keys.owner, keys.presented)
}  # fmt: skip
_UPLOADED: dict[str, type[marshmallow.Schema]] = {"POST /user/import": AccountDocument}  # files that are JSON
_UUID, _INSTANT = "c249bec3-52ec-4893-ad85-b579ca2896f2", "2026-11-24T03:00:00.123456Z"


def describe() -> Json:
    """Return the description of everything in the manifest."""
    manifest = yaml.safe_load(MANIFEST.read_text())
    described = _Description()
    for name in manifest["functions"]:
        module = importlib.import_module(f"functions.{name}.main")
        described.add(module.family, module.__doc__ or "")
    return described.document()


class _Description:
    """The document while it is made."""

    def __init__(self) -> None:
        self._paths: dict[str, Json] = {}
        self._tags: list[Json] = []
        self._schemas: dict[str, Json] = {"Problem": _problem_schema()}
        self._described: dict[str, type[marshmallow.Schema]] = {}

    def add(self, family: Family, doc: str) -> None:
        """Add the routes of a family."""
        about = {
            f"{method} {path}": (sent, answers)
            for method, paths, sent, answers in _LINE.findall(doc)
            for path in paths.split(", ")
        }
        self._tags.append({"name": family.name, "description": doc.partition("\n")[0]})
        for route in family.routes():
            if str(route) not in about:
                raise ValueError(f"the docstring of functions/{family.name}/main.py has no line for {route}")
            sent, answers = about[str(route)]
            self._paths.setdefault(route.path, {})[route.method.lower()] = self._operation(route, sent, answers)

    def document(self) -> Json:
        """Return the whole."""
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "LiftLog backend",
                "version": "1",
                "summary": "Accounts, an encrypted feed between friends, inboxes, shared workouts, and a planner.",
                "description": "Every path also answers below `/v2`, whatever its case. Members' names match ignoring "
                "case and underscores, unknown ones are ignored. Errors are `application/problem+json` (RFC 9457).",
            },
            "servers": [{"url": "/"}],
            "tags": self._tags,
            "paths": self._paths,
            "components": {"schemas": dict(sorted(self._schemas.items())), "securitySchemes": _security_schemes()},
        }

    def _operation(self, route: Route, sent: str, answers: str) -> Json:
        operation: Json = {
            "tags": [route.family],
            "operationId": re.sub(r"\W+", "_", f"{route.method} {route.path}").strip("_").lower(),
            "summary": getattr(route.handler, "__name__", "").replace("_", " ").capitalize(),
            "description": ". ".join(part for part in (f"Takes {sent}" if sent else "", *self._limits(route)) if part),
            "responses": self._responses(route, answers),
        }
        names = re.findall(r"\{(\w+)\}", route.path)
        parameters: list[Json] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
        parameters += _QUERIES.get(route.guard, [])
        if parameters:
            operation["parameters"] = parameters
        if route.body is not None:
            schema = self._schema(route.body)
            operation["requestBody"] = {"required": bool(schema.get("required", True)), "content": _json(schema)}
        if route.upload_bytes is not None:
            uploaded = _UPLOADED.get(str(route))
            content = _json(self._schema(uploaded())) if uploaded else {"application/octet-stream": {}}
            operation["requestBody"] = {"required": True, "content": content}
        if route.guard is not None:
            operation["security"] = _GUARDS[route.guard]
        return operation

    def _limits(self, route: Route) -> list[str]:
        if route.upload_bytes is not None:
            return [f"At most {route.upload_bytes():,} bytes of body, unless this server is set otherwise"]
        return [f"At most {route.max_body_bytes:,} bytes of body"] if route.body is not None else []

    def _responses(self, route: Route, answers: str) -> Json:
        responses: dict[str, Json] = {}
        with_body = _WITH_BODY if route.body is not None or route.upload_bytes is not None else ()
        private = _PRIVATE if route.is_private else ()
        for kind in (*_EVERYWHERE, *with_body, *private):
            status, slug, title, _ = PROBLEMS[kind]
            responses[str(status)] = _problem_response(title, slug)
        for answer in answers.split(" · "):
            match = _ANSWER.match(answer)
            if match is None:
                raise ValueError(f"{route}: cannot read {answer!r}")
            status, text = int(match[1]), match[2]
            text = text[:1].upper() + text[1:] + "." if text else _MEANINGS.get(status, "")
            if status >= 400:
                responses.setdefault(match[1], _problem_response(text, "…"))
            else:
                responses[match[1]] = {"description": text}
                if status == 200 and route.answer is not None:
                    responses["200"]["content"] = _json(self._schema(route.answer))
        return dict(sorted(responses.items()))

    def _schema(self, schema: marshmallow.Schema) -> Json:
        """Return a reference to a schema, after describing it."""
        name = type(schema).__name__
        if self._described.setdefault(name, type(schema)) is not type(schema):
            raise ValueError(f"two schemas are named {name}: {type(schema).__module__} has one")
        if name not in self._schemas:
            self._schemas[name] = {}  # for those that hold themselves
            forms = [form for form in (getattr(schema, "app", None), getattr(schema, "port", None)) if form]
            if forms:
                self._schemas[name] = {"oneOf": [self._schema(form) for form in forms]}
            else:
                self._schemas[name] = self._object(schema)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, schema: marshmallow.Schema) -> Json:
        members = {str(field.data_key): self._field(field) for field in schema.fields.values()}
        required = [str(field.data_key) for field in schema.fields.values() if field.required]
        doc = type(schema).__doc__
        has_own_doc = doc is not None and doc != WireSchema.__doc__
        return (
            {"type": "object", "properties": members}
            | ({"required": required} if required else {})
            | ({"description": doc} if has_own_doc else {})
        )

    def _field(self, field: marshmallow.fields.Field[Any]) -> Json:
        described = self._kind(field)
        if field.allow_none and "type" in described:
            described["type"] = [described["type"], "null"]
        if field.load_default not in {marshmallow.missing, None}:
            described["default"] = field.load_default
        return described

    def _kind(self, field: marshmallow.fields.Field[Any]) -> Json:
        match field:
            case fields.Nested():
                return self._schema(field.schema)
            case fields.Array():
                limits = {"minItems": field.min_items, "maxItems": field.max_items}
                return {"type": "array", "items": self._field(field.inner), **limits}
            case fields.Map():
                names = {"maxLength": field.key.max_length}
                values = self._field(field.element)
                return {
                    "type": "object", "maxProperties": field.max_items, "propertyNames": names,
                    "additionalProperties": values,
                }  # fmt: skip
            case _:
                return _scalar(field)


def _scalar(field: marshmallow.fields.Field[Any]) -> Json:
    for kind, describe_field in _SCALARS.items():
        if isinstance(field, kind):
            return describe_field(field)
    raise TypeError(f"no description of {type(field).__name__}")


def _text(field: fields.Text) -> Json:
    limits = {"type": "string", "minLength": field.min_length, "maxLength": field.max_length}
    return limits | ({"pattern": field.pattern.pattern, "examples": [field.example]} if field.example else {})


def _bytes(field: fields.Base64) -> Json:
    return {
        "type": "string", "contentEncoding": "base64", "minLength": _base64(field.min_bytes),
        "maxLength": _base64(field.max_bytes), "description": f"{field.min_bytes:,} to {field.max_bytes:,} bytes",
    }  # fmt: skip


def _number(field: fields.Number) -> Json:
    kind = "integer" if isinstance(field, fields.Integer) else "number"
    return {"type": kind, "minimum": field.least, "maximum": field.most}


def _enum(field: fields.Enum) -> Json:
    return {"type": "string", "enum": list(field.names), "description": "whatever its case, or its number from 0"}


def _secret(field: fields.PresentedSecret) -> Json:
    return {"type": "string", "description": f"valid ones have up to {field.max_length} characters"}


_SCALARS: dict[type[Any], Callable[[Any], Json]] = {
    fields.Uuid: lambda _: {"type": "string", "format": "uuid", "examples": [_UUID]},
    fields.Instant: lambda _: {"type": "string", "format": "date-time", "examples": [_INSTANT]},
    fields.Flag: lambda _: {"type": "boolean"},
    fields.Text: _text,
    fields.Base64: _bytes,
    fields.Number: _number,
    fields.Enum: _enum,
    fields.PresentedSecret: _secret,
}


def _base64(byte_count: int) -> int:
    return (byte_count + 2) // 3 * 4


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _problem_response(title: str, slug: str) -> Json:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if slug != "…":
        content["example"] = {"type": f"urn:liftlog:problem:{slug}", "title": title}
    return {"description": title, "content": {"application/problem+json": content}}


def _problem_schema() -> Json:
    types = sorted({f"urn:liftlog:problem:{slug}" for _, slug, _, _ in PROBLEMS.values()})
    error = {"type": "object", "properties": {"field": {"type": "string"}, "message": {"type": "string"}}}
    return {
        "type": "object",
        "description": "RFC 9457. Never holds a value that was sent.",
        "properties": {
            "type": {"type": "string", "enum": [*types, "urn:liftlog:problem:internal-error"]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": error},
        },
        "required": ["type", "title", "status"],
    }


def _security_schemes() -> Json:
    subscription = "`[Bearer ]{Store} {token}`; stores: Web, RevenueCat, Google, Apple"
    return {
        "subscription": {"type": "apiKey", "in": "header", "name": "Authorization", "description": subscription},
        "backupKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "as the app sends it"},
        "backupKeyAsBearer": {"type": "http", "scheme": "bearer", "description": "the name's key"},
        "backupKeyInBrowser": {"type": "http", "scheme": "basic", "description": "the name and its key"},
        "newcomer": {"type": "http", "scheme": "basic", "description": "the id and the password of the account to be"},
        "operator": {"type": "http", "scheme": "bearer", "description": "`OPERATOR_TOKEN`, or a Google identity token"},
        "operatorInBrowser": {"type": "http", "scheme": "basic", "description": "any name, `OPERATOR_TOKEN`"},
    }


def main() -> int:
    """Write the description, or tell whether the one that is there is stale. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m docgen.openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if docs/openapi.json is stale")
    options = parser.parse_args()
    text = json.dumps(describe(), indent=2, ensure_ascii=False) + "\n"
    if options.check:
        if TARGET.exists() and TARGET.read_text() == text:
            return 0
        print("docs/openapi.json is stale: make openapi", file=sys.stderr)
        return 1
    TARGET.write_text(text)
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
