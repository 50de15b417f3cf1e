"""Plans in one answer, over HTTP, with a scripted model behind real servers."""

import email.utils
import hashlib
import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.model_server import ModelServer
from client.scripted_answers import Say
from functions.ai.schemas import PlanSession, PlanWorkout
from shared.errors import InvalidRequest
from tests.functions.test_fuzz import BOUNDED, JSON, paths_of, replaced
from tests.plans import plan_v1, sent_plan_v1
from tests.scripted_faults import Finish, HttpError, Raw, Refuse, Stall
from tests.servers import Caller, Servers

KEY = "web-key-of-the-tests"
OTHER_KEY = "web-key-of-the-limit"
SUBSCRIBED = {"Authorization": f"Web {KEY}"}
HUGE = "x" * 200_000
APP_DURATION = re.compile(r"\d+\.\d{2}:\d{2}:\d{2}:\d{0,3}")


@pytest.fixture(scope="module")
def model_server():
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def planners(database_url, model_server):
    """The servers, with a model and a key for the store Web."""
    settings = {"OPENAI_BASE_URL": model_server.base_url, "OPENAI_TIMEOUT_SECONDS": "2", "ENVIRONMENT": "local"}
    with Servers(database_url, WEB_AUTH_API_KEY=KEY, TEST_MODE="true", **settings) as servers:
        yield servers


@pytest.fixture(params=["gateway", "alone"])
def ask(request, planners):
    """Return a function that sends a subscriber's request, to the gateway or to the family alone."""
    call = Caller(planners, alone=request.param == "alone")
    return lambda path, body, **options: call("POST", path, body, **({"headers": SUBSCRIBED} | options))


def plan_wishes(**changes):
    """The app's wishes for a plan."""
    return {
        "gender": "Female",
        "weightRange": "70-80",
        "age": 34,
        "daysPerWeek": 3,
        "goals": ["Strength"],
        "experience": "Beginner",
        "useImperialUnits": False,
        "additionalInfo": "No barbell",
    } | changes


def session_wishes(**changes):
    """The app's wishes for one session."""
    return {
        "areasToWorkout": ["Chest"],
        "volume": 50,
        "exerciseToKilograms": {"Bench press": 60, "Fliegende": 7.5},
        "useImperialUnits": True,
        "additionalInfo": None,
    } | changes


def port_plan_wishes(**changes):
    """A plan's wishes in the other form."""
    return {
        "age": 34,
        "gender": "female",
        "weight_kg": 71.5,
        "experience_level": "beginner",
        "goals": "Strength",
        "days_per_week": 3,
    } | changes


def port_session_wishes(**changes):
    """A session's wishes in the other form."""
    return {
        "age": 34,
        "gender": "female",
        "weight_kg": 71.5,
        "experience_level": "beginner",
        "focus": "Chest",
        "duration_minutes": 45,
    } | changes


PORT_SESSION = {
    "name": "Chest",
    "exercises": [
        {"name": "Push-up", "sets": 3, "reps_min": 8, "reps_max": 12, "rest_seconds": 90, "notes": "Straight back"}
    ],
    "estimated_duration_minutes": 40,
}
PORT_PLAN = {"name": "Start", "description": "Short", "sessions": [PORT_SESSION], "duration_weeks": 8}
VALID = {"/ai/workout": {"attributes": plan_wishes()}, "/ai/session": {"attributes": session_wishes()}}


def app_session(link=""):
    """What the app gets for the session of `plan_v1`."""
    session = sent_plan_v1()["sessions"][0]
    session["exercises"][0]["restBetweenSets"] = {
        "minRest": "0.00:01:30:",
        "maxRest": "0.00:03:00:",
        "failureRest": "0.00:05:00:",
    }
    return session


def test_a_plan_for_the_app(ask, model_server):
    model_server.script(Say(json.dumps(plan_v1()), piece_characters=7))
    answer = ask("/ai/workout", {"attributes": plan_wishes(), "auth": {"any": "thing"}})
    assert answer.status_code == 200
    assert answer.json == plan_v1() | {"sessions": [app_session()]}
    system, user = model_server.requests[-1].body["messages"]
    assert json.loads(user["content"]) == {
        "gender": "Female", "weight_range": "70-80", "age": 34, "days_per_week": 3, "goals": ["Strength"],
        "experience": "Beginner", "use_imperial_units": False, "additional_info": "No barbell",
    }  # fmt: skip
    assert "No barbell" not in system["content"]
    form = model_server.requests[-1].body["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)


def test_a_session_for_the_app(ask, model_server):
    model_server.script(Say(json.dumps(plan_v1()["sessions"][0]), piece_characters=50))
    answer = ask("/v2/ai/session", {"attributes": session_wishes()})
    assert answer.json == app_session()
    wishes = json.loads(model_server.requests[-1].body["messages"][1]["content"])
    assert wishes["exercise_to_kilograms"] == {"Bench press": 60, "Fliegende": 7.5}
    assert "additional_info" not in wishes


@pytest.mark.parametrize(
    ("volume", "count"),
    [(0, 2), (24, 2), (25, 3), (49, 3), (50, 5), (74, 5), (75, 7), (89, 7), (90, 10), (100, 10)],
)
def test_volume_asks_for_a_number_of_exercises(ask, model_server, volume, count):
    model_server.script(Say(json.dumps(plan_v1()["sessions"][0]), piece_characters=500))
    ask("/ai/session", {"attributes": session_wishes(volume=volume)})
    assert json.loads(model_server.requests[-1].body["messages"][1]["content"])["number_of_exercises"] == count


def test_the_other_form(ask, model_server):
    model_server.script(Say(json.dumps(PORT_PLAN), piece_characters=50))
    assert ask("/ai/workout", port_plan_wishes(additional_preferences="No barbell")).json == PORT_PLAN
    model_server.script(Say(json.dumps(PORT_SESSION), piece_characters=50))
    assert ask("/ai/session", port_session_wishes(available_equipment=None)).json == PORT_SESSION


def test_a_link_that_the_model_made_up_is_left_out(ask, model_server):
    value = plan_v1()
    value["sessions"][0]["exercises"][0]["link"] = "https://elsewhere.example"
    model_server.script(Say(json.dumps(value), piece_characters=50))
    assert ask("/ai/workout", VALID["/ai/workout"]).json["sessions"] == [app_session()]


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("gender", "prefernottosay", 200), ("gender", 0, 200), ("gender", 3, 200), ("gender", 4, 400),
        ("gender", "none", 400), ("gender", True, 400), ("gender", None, 400), ("gender", 1.0, 400),
        ("experience", "PROFESSIONAL", 200), ("experience", 3, 200), ("experience", -1, 400),
        ("weightRange", "150-160 lbs", 200), ("weightRange", "70", 400), ("weightRange", "x" * 46 + "70-80", 400),
        ("age", 12, 200), ("age", 149, 200), ("age", 11, 400), ("age", 150, 400), ("age", 30.5, 400),
        ("age", "30", 400), ("age", 30.0, 200),
        ("daysPerWeek", True, 400),
        ("daysPerWeek", 1, 200), ("daysPerWeek", 7, 200), ("daysPerWeek", 0, 400), ("daysPerWeek", 8, 400),
        ("goals", ["abc"] * 9, 200), ("goals", ["x" * 30], 200), ("goals", [], 400), ("goals", ["abc"] * 10, 400),
        ("useImperialUnits", 1, 400), ("useImperialUnits", True, 200),
        ("additionalInfo", "x" * 1000, 200), ("additionalInfo", None, 200), ("additionalInfo", "x" * 1001, 400),
    ],
)  # fmt: skip
def test_limits_of_a_plans_wishes(planners, model_server, field, value, status):
    wishes = plan_wishes(**{field: value})
    assert_judged(planners, model_server, "/ai/workout", wishes, plan_v1(), field, status)


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("areasToWorkout", ["abc"] * 9, 200), ("areasToWorkout", ["x" * 15], 200), ("areasToWorkout", [], 400),
        ("volume", 0, 200), ("volume", 100, 200), ("volume", -1, 400), ("volume", 101, 400),
        ("exerciseToKilograms", {}, 200), ("exerciseToKilograms", {"x" * 49: -5}, 200),
        ("exerciseToKilograms", {"x" * 50: 5}, 400), ("exerciseToKilograms", {"": 5}, 400),
        ("exerciseToKilograms", {"x": "5"}, 400), ("exerciseToKilograms", {"x": None}, 400),
        ("exerciseToKilograms", {f"x{number}": 1 for number in range(100)}, 200),
        ("exerciseToKilograms", {f"x{number}": 1 for number in range(101)}, 400),
        ("exerciseToKilograms", [], 400), ("exerciseToKilograms", {"a\0": 1}, 400),
        ("additionalInfo", "x" * 200, 200), ("additionalInfo", "x" * 201, 400),
    ],
)  # fmt: skip
def test_limits_of_a_sessions_wishes(planners, model_server, field, value, status):
    wishes = session_wishes(**{field: value})
    assert_judged(planners, model_server, "/ai/session", wishes, plan_v1()["sessions"][0], field, status)


def assert_judged(planners, model_server, path, wishes, answer_of_model, field, status):
    """Whether the wishes pass, or the field is named and the model is not asked."""
    asked_before = len(model_server.requests)
    if status == 200:
        model_server.script(Say(json.dumps(answer_of_model), piece_characters=500))
    answer = Caller(planners, alone=False)("POST", path, {"attributes": wishes}, headers=SUBSCRIBED)
    assert answer.status_code == status
    assert len(model_server.requests) - asked_before == (status == 200)
    if status == 400:
        assert answer.fields == {f"attributes.{field}"}


@pytest.mark.parametrize(
    ("path", "wishes", "field"),
    [
        ("/ai/workout", port_plan_wishes(age=12), "age"),
        ("/ai/workout", port_plan_wishes(age=121), "age"),
        ("/ai/workout", port_plan_wishes(gender="x" * 51), "gender"),
        ("/ai/workout", port_plan_wishes(weight_kg=19.9), "weightKg"),
        ("/ai/workout", port_plan_wishes(weight_kg=501), "weightKg"),
        ("/ai/workout", port_plan_wishes(experience_level="some"), "experienceLevel"),
        ("/ai/workout", port_plan_wishes(goals="x" * 501), "goals"),
        ("/ai/workout", port_plan_wishes(days_per_week=8), "daysPerWeek"),
        ("/ai/workout", port_plan_wishes(additional_preferences="x" * 1001), "additionalPreferences"),
        ("/ai/session", port_session_wishes(focus="x" * 201), "focus"),
        ("/ai/session", port_session_wishes(duration_minutes=14), "durationMinutes"),
        ("/ai/session", port_session_wishes(duration_minutes=181), "durationMinutes"),
        ("/ai/session", port_session_wishes(available_equipment="x" * 501), "availableEquipment"),
        ("/ai/workout", {}, "attributes"),
        ("/ai/session", {"attributes": 5}, "attributes"),
    ],
)
def test_limits_of_the_other_form(ask, path, wishes, field):
    answer = ask(path, wishes)
    assert answer.status_code == 400
    assert answer.fields == {field}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Web wrong"}, {"Authorization": "Nobody knows"}])
@pytest.mark.parametrize("body", [b"no JSON", b"[]", b"", b'{"auth":"', b"x" * 300_000])
def test_without_a_subscription_it_is_401_whatever_the_body(ask, headers, body):
    assert ask("/ai/workout", body, headers=headers).status_code == 401


@pytest.mark.parametrize("name", ["auth", "Auth"])
def test_without_a_header_the_body_may_say_who_asks(ask, model_server, name):
    """As the C# app did until July 2025, the only one that ever called these routes."""
    model_server.script(Say(json.dumps(plan_v1()), piece_characters=500))
    body = {"attributes": plan_wishes(), name: f"Web {KEY}"}
    assert ask("/ai/workout", body, headers={}).status_code == 200
    assert KEY not in json.dumps(model_server.requests[-1].body)


@pytest.mark.parametrize(
    ("headers", "auth"),
    [
        ({}, "Web wrong"), ({}, KEY), ({}, ""), ({}, None), ({}, 7), ({}, ["Web", KEY]), ({}, {"Web": KEY}),
        ({"Authorization": "Web wrong"}, f"Web {KEY}"), ({"Authorization": ""}, f"Web {KEY}"),
    ],
)  # fmt: skip
def test_what_the_body_says_must_be_true_and_a_header_wins(ask, model_server, headers, auth):
    asked = len(model_server.requests)
    body = {"attributes": plan_wishes(), "auth": auth}
    assert ask("/ai/workout", body, headers=headers).status_code == 401
    assert ask("/ai/workout", body | {"AUTH": f"Web {KEY}"}, headers={}).status_code == 401  # said twice
    assert len(model_server.requests) == asked


@pytest.mark.parametrize("path", ["/ai/workout", "/ai/session"])
def test_a_receipt_fits_into_the_body(ask, path):
    """An App Store receipt; C# writes each "+" of it as six characters."""
    receipt = ("A" * 31 + "+") * 2048
    body = json.dumps(VALID[path] | {"auth": f"Apple {receipt}"}).replace("+", "\\u002B")
    assert ask(path, body.encode(), headers=SUBSCRIBED).status_code != 413


def test_inside_the_envelope_the_subscription_is_in_its_headers(planners, model_server):
    model_server.script(Say(json.dumps(plan_v1()), piece_characters=500))
    envelope = {"route": "POST /ai/workout", "body": VALID["/ai/workout"], "headers": SUBSCRIBED}
    call = Caller(planners, alone=False)
    assert call("POST", "/", envelope).status_code == 200
    assert call("POST", "/", envelope | {"headers": {}}, headers=SUBSCRIBED).status_code == 401


@pytest.mark.parametrize("path", VALID)
@pytest.mark.parametrize(
    ("steps", "times", "status", "kind"),
    [
        ([Say("no JSON")], 2, 503, "model-unavailable"),
        ([Say('{"name": "x"}')], 2, 503, "model-unavailable"),
        ([Say("")], 2, 503, "model-unavailable"),
        ([Say('{"name": "cut'), Finish("length")], 2, 503, "model-unavailable"),
        ([Refuse("I won't.")], 1, 422, "model-refused"),
        ([Finish("content_filter")], 1, 422, "model-refused"),
        ([HttpError(400)], 1, 422, "model-refused"),
        ([HttpError(500, code="exceed_context_size_error")], 1, 422, "context-full"),
        ([HttpError(429, retry_after="60")], 1, 503, "model-unavailable"),
        ([Say("{"), Raw(b"data: garbage\n\n")], 2, 503, "model-unavailable"),
        ([Stall()], 1, 503, "model-unavailable"),
    ],
)
def test_an_answer_that_is_none_is_a_problem(planners, model_server, path, steps, times, status, kind):
    model_server.script(Say(json.dumps(plan_v1() if path == "/ai/workout" else plan_v1()["sessions"][0])))
    call = Caller(planners, alone=False)
    assert call("POST", path, VALID[path], headers=SUBSCRIBED).status_code == 200  # the breaker stays closed
    asked = len(model_server.requests)
    for _ in range(times):
        model_server.script(*steps)
    answer = call("POST", path, VALID[path], headers=SUBSCRIBED)
    assert answer.status_code == status
    assert answer.json["type"] == f"urn:liftlog:problem:{kind}"
    assert len(model_server.requests) == asked + times
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.parametrize("wrong", [[Say("no JSON")], [Say('{"name": "x"}')], [Say('{"name": "cut'), Finish("length")]])
def test_an_answer_of_no_use_goes_back_once(planners, model_server, wrong):
    model_server.script(*wrong)
    model_server.script(Say(json.dumps(plan_v1())))
    answer = Caller(planners, alone=False)("POST", "/ai/workout", VALID["/ai/workout"], headers=SUBSCRIBED)
    assert answer.json == plan_v1() | {"sessions": [app_session()]}
    first, second = (request.body for request in model_server.requests[-2:])
    assert second["messages"][:2] == first["messages"]
    assert [message["role"] for message in second["messages"][2:]] == ["assistant", "user"]
    assert "cannot be used" in second["messages"][3]["content"]
    assert ("too long" in second["messages"][3]["content"]) == (Finish("length") in wrong)
    assert second["response_format"] == first["response_format"]


@pytest.mark.parametrize(
    "steps",
    [
        [[Finish("length")], [Say("no JSON")]],
        [[Finish("length")], [Refuse("I won't.")]],
        [[Stall()]],
        [[Raw(b'data: {"error": {"code": 503}}\n\n')]],
    ],
)
def test_of_a_plan_that_stays_cut_the_whole_sessions_are_the_answer(planners, model_server, steps):
    session = plan_v1()["sessions"][0]
    written = json.dumps(plan_v1(sessions=[session, session | {"name": "Pull"}]))[:-20]
    (first, *others) = steps
    model_server.script(Say(written), *first)
    for second in others:
        model_server.script(*second)
    asked = len(model_server.requests)
    answer = Caller(planners, alone=False)("POST", "/ai/workout", VALID["/ai/workout"], headers=SUBSCRIBED)
    assert answer.status_code == 200
    assert answer.json == plan_v1() | {"sessions": [app_session()]}
    assert len(model_server.requests) == asked + len(steps)


@pytest.mark.parametrize(
    ("second", "status", "kind"),
    [
        (HttpError(401), 503, "model-unavailable"),
        (HttpError(400, code="context_length_exceeded"), 503, "model-unavailable"),
        (Refuse("I won't."), 422, "model-refused"),
    ],
)
def test_a_repair_that_fails_is_a_problem(planners, model_server, second, status, kind):
    model_server.script(Say("no JSON"))
    model_server.script(second)
    answer = Caller(planners, alone=False)("POST", "/ai/workout", VALID["/ai/workout"], headers=SUBSCRIBED)
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:liftlog:problem:{kind}")


def test_a_plan_is_read_however_it_is_wrapped(planners, model_server):
    text = json.dumps(plan_v1())
    asked = len(model_server.requests)
    for wrapped in (f"<think>Hm, {{ </think>```json\n{text}\n```", f"Sure! {text} Enjoy.", json.dumps(text)):
        model_server.script(Say(wrapped, piece_characters=50))
        answer = Caller(planners, alone=False)("POST", "/ai/workout", VALID["/ai/workout"], headers=SUBSCRIBED)
        assert answer.json == plan_v1() | {"sessions": [app_session()]}
    assert len(model_server.requests) == asked + 3


def test_the_next_request_past_the_limit_is_429_and_a_refused_one_does_not_count(database_url, model_server):
    key = hashlib.sha256(OTHER_KEY.encode()).hexdigest().upper()
    headers = {"Authorization": f"Bearer web {OTHER_KEY}"}
    settings = {"OPENAI_BASE_URL": model_server.base_url, "ENVIRONMENT": "local"}
    with Servers(database_url, WEB_AUTH_API_KEY=OTHER_KEY, **settings) as servers:
        call = Caller(servers, alone=True)
        oldest = datetime.now(UTC) - timedelta(hours=23)
        servers.db.rows(
            "INSERT INTO rate_limit_consumptions (key, requests) SELECT :key, array_agg(CAST(:oldest AS timestamptz) "
            "+ number * interval '1 second') FROM generate_series(0, 98) AS number",
            key=key, oldest=oldest,
        )  # fmt: skip
        assert call("POST", "/ai/workout", {}, headers=headers).status_code == 400
        model_server.script(Say(json.dumps(plan_v1()), piece_characters=500))
        assert call("POST", "/ai/workout", VALID["/ai/workout"], headers=headers).status_code == 200
        asked = len(model_server.requests)
        refused = call("POST", "/ai/session", VALID["/ai/session"], headers=headers)
        assert refused.status_code == 429
        assert len(model_server.requests) == asked
        retry_at = email.utils.parsedate_to_datetime(refused.headers["Retry-After"])
        assert timedelta() <= retry_at - (oldest + timedelta(hours=24)) <= timedelta(seconds=1)


def test_without_a_model_only_these_routes_are_503(database_url):
    with Servers(
        database_url, WEB_AUTH_API_KEY=KEY, TEST_MODE="true", ENVIRONMENT="local", OPENAI_API_KEY=""
    ) as servers:
        call = Caller(servers, alone=False)
        answer = call("POST", "/ai/workout", VALID["/ai/workout"], headers=SUBSCRIBED)
        assert answer.status_code == 503
        assert answer.json["type"] == "urn:liftlog:problem:not-configured"
        assert call("GET", "/health/ready").status_code == 200


def test_a_body_larger_than_its_fields_is_413(ask):
    assert ask("/ai/workout", {"attributes": plan_wishes(additionalInfo=HUGE)}).status_code == 413


@pytest.mark.parametrize(
    ("schema", "valid"),
    [
        (PlanWorkout, VALID["/ai/workout"]),
        (PlanSession, VALID["/ai/session"]),
        (PlanWorkout, port_plan_wishes()),
        (PlanSession, port_session_wishes()),
    ],
)
def test_wishes_with_one_field_replaced_by_anything_are_accepted_or_refused(schema, valid):
    @BOUNDED
    @given(place=st.sampled_from(list(paths_of(valid))), new=JSON)
    def check(place, new):
        with suppress(InvalidRequest):
            json.dumps(schema().parse(replaced(valid, place, new))["wishes"])

    check()
