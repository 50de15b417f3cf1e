"""Plans on a terminal: what people read there, from the first piece of a plan to the last."""

import json

import pytest
from rich.console import Console

from client import canned_coach
from client.plan_view import clock_of, plan_view, sets_of
from functions.ai_chat import plans


def drawn(message):
    console = Console(width=100, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(plan_view(message))
    return capture.get()


def arguments():
    request = {"messages": [{"role": "user", "content": "a plan for 2 days"}], "tools": [plans.tool(2)]}
    return json.dumps(canned_coach.reply(request).arguments)


def test_a_plan_is_a_table_a_session():
    lines = drawn(plans.message(plans.finished(arguments(), 2, ""), 2)).splitlines()
    assert lines[0] == "Push, pull, legs"
    assert [line.strip() for line in lines if not line.startswith(("┏", "┃", "┡", "│", "└"))][2:] == ["Push", "Pull"]
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows] == [
        "Bench press",
        "Overhead press",
        "Dips",
        "Deadlift",
        "Barbell row",
        "Pull-up",
    ]
    assert rows[0][1:] == ["3 × 8–10", "1:30–3:00", "+2.5 load"]


def test_a_plan_can_be_drawn_at_every_moment_of_its_growth():
    text = arguments()
    views = set()
    for length in range(0, len(text), 7):
        plan = plans.unfinished(text[:length], "")
        if plan is not None:
            views.add(drawn(plans.unfinished_message(plan)))
    assert len(views) > 20


def test_cardio_shows_its_targets():
    cardio = {
        "type": "CardioExerciseBlueprint",
        "name": "Running",
        "sets": [
            {"target": {"type": "time", "value": "PT20M"}},
            {"target": {"type": "distance", "value": {"value": "5", "unit": "kilometre"}}},
        ],
    }
    assert "20:00, 5 kilometre" in drawn({"blueprint": {"sessions": [{"exercises": [cardio]}]}})


@pytest.mark.parametrize(
    ("reps", "text"),
    [
        ([(5, 5)] * 3, "3 × 5"),
        ([(8, 10)], "1 × 8–10"),
        ([(5, 5), (5, 5), (8, 12)], "5, 5, 8–12"),
        ([], ""),
    ],
)
def test_sets_are_written_as_people_do(reps, text):
    assert sets_of([{"reps": {"min": least, "max": most}} for least, most in reps]) == text


@pytest.mark.parametrize("planned", [[{}], [{"reps": {}}], [{"reps": {"min": 5}}]])
def test_sets_that_have_not_come_yet_are_left_out(planned):
    assert sets_of(planned) == ""


@pytest.mark.parametrize(
    ("duration", "clock"),
    [
        ("PT90S", "1:30"),
        ("PT3M", "3:00"),
        ("PT1H2M3S", "62:03"),
        ("PT0S", "0:00"),
        ("PT1.5S", "0:01"),
        ("soon", "soon"),
    ],
)
def test_durations_are_minutes_and_seconds(duration, clock):
    assert clock_of(duration) == clock
