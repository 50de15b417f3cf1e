"""Shapes: the schema that the model gets, the check of its answer, and what is shown before it is finished."""

import math

import pytest

from shared.ai.shapes import (
    MISSING,
    ArrayShape,
    ChoiceShape,
    IntegerShape,
    Mismatch,
    NumberShape,
    ObjectShape,
    OneOfShape,
    TextShape,
    response_format,
)

POINT = ObjectShape(
    "Point",
    {"x": IntegerShape("x", 0, 10), "y": NumberShape("y", 0, 1), "label": TextShape("label")},
    optional=frozenset({"y"}),
    unasked=frozenset({"label"}),
    constants={"version": 2},
)
LINE = ObjectShape("Line", {"points": ArrayShape(POINT, 1, 2)})


def test_strict_mode_gets_every_member_that_is_asked_for():
    assert response_format(LINE) == {
        "type": "json_schema",
        "json_schema": {
            "name": "Line",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": {
                    "points": {"type": "array", "description": "1 to 2 elements", "items": {"$ref": "#/$defs/Point"}}
                },
                "required": ["points"],
                "additionalProperties": False,
                "$defs": {
                    "Point": {
                        "type": "object",
                        "properties": {
                            "x": {"type": "integer", "description": "x, 0 to 10"},
                            "y": {"anyOf": [{"type": "number", "description": "y, 0 to 1"}, {"type": "null"}]},
                        },
                        "required": ["x", "y"],
                        "additionalProperties": False,
                    }
                },
            },
        },
    }


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ({"x": 3.0, "y": None, "version": 9, "more": 1}, {"version": 2, "x": 3}),
        ({"x": 3}, {"version": 2, "x": 3}),
        ({"x": 3, "y": 0.5, "label": "A"}, {"version": 2, "x": 3, "y": 0.5, "label": "A"}),
    ],
)
def test_what_fits_is_accepted_without_what_is_not_named(value, accepted):
    assert POINT.accept(value) == accepted


@pytest.mark.parametrize("x", [None, "3", 3.5, True, -1, 11, math.nan, math.inf, 10**400])
def test_a_number_outside_its_range_is_none(x):
    with pytest.raises(Mismatch) as raised:
        LINE.accept({"points": [{"x": 1}, {"x": x}]})
    assert str(raised.value) == "points.1.x"


@pytest.mark.parametrize("points", [[], [{"x": 1}] * 3, {}, None])
def test_an_array_has_its_length(points):
    with pytest.raises(Mismatch, match=r"^points$"):
        LINE.accept({"points": points})


@pytest.mark.parametrize(
    ("cut", "whole", "shown"),
    [
        ({}, {}, {"version": 2}),
        ({"label": "A b"}, {}, {"version": 2, "label": "A b"}),
        ({"x": 3}, {"x": 3}, {"version": 2, "x": 3}),
        ({"x": 99}, {"x": 99}, {"version": 2}),
        ({"label": None}, {"label": None}, {"version": 2}),
        ([], [], MISSING),
        (None, None, MISSING),
    ],
)
def test_only_what_is_whole_and_fits_is_shown(cut, whole, shown):
    assert POINT.show(cut, whole) == shown


def test_of_an_array_no_more_is_shown_than_a_finished_one_may_have():
    points = {"points": [{"x": number} for number in (1, 2, 3)]}
    assert [point["x"] for point in LINE.show(points, points)["points"]] == [1, 2]


def test_one_of_some_objects_is_shown_once_its_type_is_whole():
    circle = ObjectShape("Circle", {"type": ChoiceShape(("circle",)), "name": TextShape("name")})
    either = OneOfShape({"circle": circle})
    assert either.show({"type": "circ", "name": "A"}, {"name": "A"}) is MISSING
    assert either.show({"type": "circle", "name": "A"}, {"type": "circle"}) == {"type": "circle", "name": "A"}
    with pytest.raises(Mismatch, match=r"^type$"):
        either.accept({"type": ["circle"]})
