"""Every kind of field: what an answer says with it, a request may say again, and Python has the same value."""

import inspect
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import marshmallow
import pytest

from shared.http import WireSchema, fields
from shared.http.responses import json_response

ID = UUID("c249bec3-52ec-4893-ad85-b579ca2896f2")
WIRE = "2026-11-24T03:00:00.123456Z"
INSTANT = datetime(2026, 11, 24, 3, 0, 0, 123456, UTC)
INDIA = timezone(timedelta(hours=5, minutes=30))
OLD = datetime(33, 4, 3, 15, 0, 0, 0, UTC)


class Inner(WireSchema):
    moment = fields.Instant(required=True)


# a field, a value of it in Python, and in JSON
FIELDS = [
    (fields.Uuid(), ID, "c249bec3-52ec-4893-ad85-b579ca2896f2"),
    (fields.Text(max_length=9), "ü🏋", "ü🏋"),
    (fields.Password(), "secret", "secret"),
    (fields.PresentedSecret(max_length=9), "any \0", "any \0"),
    (fields.Base64(max_bytes=9), b"\0\xff", "AP8="),
    (fields.Instant(), INSTANT, WIRE),
    (fields.Instant(), INSTANT.astimezone(INDIA), WIRE),
    (fields.Instant(), OLD, "0033-04-03T15:00:00.000000Z"),
    (fields.Number(least=0, most=9), 2.5, 2.5),
    (fields.Integer(least=0, most=9), 3, 3),
    (fields.Flag(), True, True),
    (fields.Enum(["Light", "Heavy"]), "Heavy", "Heavy"),
    (fields.Map(fields.Instant(), max_name_length=36, max_items=9), {"a": INSTANT}, {"a": WIRE}),
    (fields.Array(fields.Uuid(), min_items=0, max_items=9), [ID], [str(ID)]),
    (fields.Nested(Inner), {"moment": INSTANT}, {"moment": WIRE}),
]  # fmt: skip
WHOLE = pytest.mark.parametrize(("field", "value", "wire"), FIELDS, ids=[type(row[0]).__name__ for row in FIELDS])


def schema_of(field):
    return type("Form", (WireSchema,), {"value": field})()


def test_every_kind_is_tried():
    own = {kind for _, kind in inspect.getmembers(fields, inspect.isclass) if kind.__module__.startswith("shared.")}
    kinds = {kind for kind in own if issubclass(kind, marshmallow.fields.Field)} - {fields.Field}
    assert kinds == {type(field) for field, _, _ in FIELDS}


@WHOLE
def test_an_answer_says_it_as_a_request_may(field, value, wire):
    schema = schema_of(field)
    answer = json.loads(json_response(schema.dump({"value": value})).get_data())
    assert answer == {"value": wire}
    assert schema.parse(answer) == {"value": value}


@WHOLE
def test_what_is_absent_is_null_in_an_answer(field, value, wire):
    assert schema_of(field).dump({"value": None}) == {"value": None}
