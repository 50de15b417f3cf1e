"""Shapes: the schema that the model gets, the check of its answer, and what is shown before it is finished."""

import math

import pytest

from shared.ai.scalars import ChoiceShape, DecimalShape, DurationShape, IntegerShape, NumberShape, TextShape, clock
from shared.ai.shapes import MISSING, ArrayShape, Empty, Mismatch, ObjectShape, OneOfShape, response_format

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
                    "points": {"type": "array", "items": {"$ref": "#/$defs/Point"}, "minItems": 1, "maxItems": 2}
                },
                "required": ["points"],
                "additionalProperties": False,
                "$defs": {
                    "Point": {
                        "type": "object",
                        "properties": {
                            "x": {"type": "integer", "description": "x", "minimum": 0, "maximum": 10},
                            "y": {
                                "anyOf": [
                                    {"type": "number", "description": "y", "minimum": 0, "maximum": 1},
                                    {"type": "null"},
                                ]
                            },
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
        ({"x": 3.0, "y": None, "version": 9, "more": 1}, {"x": 3}),
        ({"x": "3"}, {"x": 3}),
        ({"x": 3, "y": 0.5, "label": "A"}, {"x": 3, "y": 0.5, "label": "A"}),
        ({"x": 3, "label": 7}, {"x": 3}),
    ],
)
def test_what_fits_is_accepted_without_what_is_not_named(value, accepted):
    assert POINT.accept(value) == accepted
    assert POINT.wire(POINT.accept(value)) == {"version": 2} | accepted


@pytest.mark.parametrize("x", [None, "three", True, math.nan, [], {}])
def test_what_is_no_number_is_none(x):
    with pytest.raises(Mismatch) as raised:
        LINE.accept({"points": [{"x": 1}, {"x": x}]})
    assert str(raised.value) == "points.1.x"


@pytest.mark.parametrize(
    ("x", "moved"), [(-1, 0), (11, 10), (math.inf, 10), (-math.inf, 0), (10**400, 10), (3.4, 3), ("2,6", 3)]
)
def test_a_number_past_its_bound_is_moved_to_it(x, moved):
    assert POINT.accept({"x": x})["x"] == moved


@pytest.mark.parametrize("points", [{}, None, "[]"])
def test_an_array_is_one(points):
    with pytest.raises(Mismatch, match=r"^points$"):
        LINE.accept({"points": points})


def test_an_array_has_its_length():
    assert LINE.accept({"points": [{"x": 1}] * 3})["points"] == [{"x": 1}] * 2
    with pytest.raises(Empty, match=r"^points$"):
        LINE.accept({"points": []})


def test_what_is_empty_is_left_out_of_an_array():
    drawing = ObjectShape("Drawing", {"lines": ArrayShape(LINE, 1, 3)})
    line = {"points": [{"x": 1}]}
    assert drawing.accept({"lines": [{"points": []}, line]}) == {"lines": [line]}
    with pytest.raises(Empty, match=r"^lines$"):
        drawing.accept({"lines": [{"points": []}]})


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (90, 90), (90.4, 90), ("90", 90), ("PT90S", 90), ("PT1M30S", 90), ("pt1m30.5s", 90), ("P1DT1H", 3600), (-5, 0),
        ("00:01:30", 90), ("1:30", 90), ("01:00:00", 3600), ("PT99H", 3600), (10**9, 3600),
    ],
)  # fmt: skip
def test_a_duration_is_whole_seconds_however_it_is_written(given, seconds):
    assert DurationShape("rest", 0, 3600).accept(given) == seconds


@pytest.mark.parametrize("given", ["PT", "P", "", "a minute", "1:3", None, True, [90], "PT-5S"])
def test_what_is_no_duration_is_none(given):
    with pytest.raises(Mismatch):
        DurationShape("rest", 0, 3600).accept(given)


def test_durations_and_decimals_are_sent_as_texts():
    assert DurationShape("rest", 0, 3600).wire(90) == "PT90S"
    assert DurationShape("rest", 0, 86_399, clock).wire(86_399) == "23:59:59"
    step = DecimalShape("step", 0, 1000)
    sent = [step.wire(step.accept(value)) for value in (2.5, 2, 2.0, "1,25", 0.1 + 0.2, 0, 1e-9, 1000, 100)]
    assert sent == ["2.5", "2", "2", "1.25", "0.3", "0", "0", "1000", "100"]


def test_a_blank_name_has_another():
    name = TextShape("name", "Plan")
    assert [name.accept(value) for value in ("", " ", "A")] == ["Plan", "Plan", "A"]
    assert name.show(" ", MISSING) is MISSING
    assert name.show(" A", MISSING) == " A"


def test_a_word_is_found_whatever_its_case_and_the_only_one_always():
    assert ChoiceShape(("none", "external")).accept("External ") == "external"
    assert ChoiceShape(("reset",)).accept("restart") == "reset"
    with pytest.raises(Mismatch):
        ChoiceShape(("none", "external")).accept("heavy")


def test_ends_of_a_range_are_put_in_order_and_not_shown_before():
    reps = ObjectShape(
        "Reps",
        {"min": IntegerShape("", 1, 9), "max": IntegerShape("", 1, 9)},
        mended=lambda value: {"min": min(value.values()), "max": max(value.values())},
    )
    assert reps.accept({"min": 5, "max": 3}) == {"min": 3, "max": 5}
    assert reps.show({"min": 5}, {"min": 5}) == {}
    assert reps.show({"min": 5, "max": 3}, {"min": 5, "max": 3}) == {"min": 3, "max": 5}


@pytest.mark.parametrize(
    ("cut", "whole", "shown"),
    [
        ({}, {}, {"version": 2}),
        ({"label": "A b"}, {}, {"version": 2, "label": "A b"}),
        ({"x": 3}, {"x": 3}, {"version": 2, "x": 3}),
        ({"x": 99}, {"x": 99}, {"version": 2, "x": 10}),
        ({"x": "?"}, {"x": "?"}, {"version": 2}),
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
