"""The chat hubs as apps meet them: the official SignalR client, over WebSockets and over long polling."""

import hashlib
import json
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from client.scripted_answers import CallTool, Say
from shared.data import metric_buckets
from shared.metrics import series
from tests.hub_clients import Driver
from tests.plans import plan, plan_v1
from tests.scripted_faults import HttpError, Stall
from tests.waiting import WAIT_SECONDS, wait_for

pytestmark = pytest.mark.slow
TRANSPORTS = ["WebSockets", "LongPolling"]
V1, V2 = "/ai-chat", "/ai-chat-v2"
PLAN_VERSION = 3
LONG_TEXT = "Three days a week are plenty for a beginner."


@contextmanager
def connections(driver, transport):
    """Give a function that connects to the hub at a URL, and end its connections afterwards."""
    opened = []

    def start(url, **options):
        connection = driver.connect(url, transport, **options)
        connection.wait_for("connected")
        opened.append(connection)
        return connection

    yield start
    for connection in opened:
        connection.stop()


@pytest.fixture(params=TRANSPORTS)
def connect(request, driver, chat_server):
    """Return a function that connects to a hub, and ends the connection afterwards."""
    with connections(driver, request.param) as start:
        yield lambda hub=V2, **options: start(chat_server.url + hub, **options)


@pytest.fixture(params=TRANSPORTS)
def hasty_chat(request, driver, hasty_server):
    """Return a function that connects to the newer hub with short clocks."""
    with connections(driver, request.param) as start:
        yield lambda: start(hasty_server.url + V2, keepAliveMs=100)


def asked(model, number):
    """The conversation that the model was sent with its request of that number, without the instructions."""
    return model.wait_for_request(number).body["messages"][1:]


def said(model, number):
    return [message["content"] for message in asked(model, number)]


# turns


@pytest.mark.parametrize("hub", [V1, V2])
def test_a_text_grows_until_the_call_completes(connect, model, hub):
    chat = connect(hub)
    model.script(Say(LONG_TEXT, pause_seconds=0.03))
    assert chat.invoke("SendMessage", "How often?", PLAN_VERSION) is None
    assert len(chat.texts) > 1
    assert all(later.startswith(earlier) for earlier, later in pairwise(chat.texts))
    assert chat.texts[-1] == LONG_TEXT
    assert chat.events[-1] == "completed"
    assert said(model, 1) == ["How often?"]


def test_introduce_asks_the_model_in_the_locale_and_the_unit(connect, model):
    assert connect(V1).invoke("Introduce", "de-DE") is None
    assert "de-DE" in said(model, 1)[0]
    assert connect(V2).invoke("Introduce", "nonsense", PLAN_VERSION, "kilograms") is None
    assert "en-AU" in said(model, 2)[0]
    assert "kilograms" in said(model, 2)[0]


def test_a_plan_grows_and_then_is_whole(connect, model):
    chat = connect(V2)
    model.script(CallTool(plan(), fragment_characters=20, pause_seconds=0.01))
    assert chat.invoke("SendMessage", "A plan, please", PLAN_VERSION) is None
    plans = [message for message in chat.messages if message["type"] == "chatPlan"]
    assert len(plans) > 1
    for shown in plans:
        assert {"type", "name", "description", "blueprint", "version"} == set(shown)
        assert "null" not in json.dumps(shown)
    assert plans[-1]["version"] == PLAN_VERSION
    assert plans[-1]["blueprint"]["sessions"][0]["name"] == "Push"


def test_the_first_apps_get_a_plan_once(connect, model):
    chat = connect(V1)
    model.script(CallTool(plan_v1(), fragment_characters=20, pause_seconds=0.01))
    assert chat.invoke("SendMessage", "A plan, please") is None
    (message,) = [message for message in chat.messages if message["type"] == "chatPlan"]
    assert message["plan"]["sessions"]


def test_a_model_without_a_grammar_makes_a_plan_and_its_words_stay_calm(connect, model):
    """Its thoughts, then half a call as text, and a whole one once it is told."""
    chat = connect(V2)
    call = f'<tool_call>{{"name": "create_workout_plan", "arguments": {json.dumps(plan())}'
    model.script(Say(f"<think>{{Hm}}</think>Here it is.\n{call[:-300]}", piece_characters=20, pause_seconds=0.005))
    model.script(Say("```json\n" + json.dumps(plan(name="Whole")) + "\n```", piece_characters=50))
    assert chat.invoke("SendMessage", "A plan, please", PLAN_VERSION) is None
    assert set("{<`").isdisjoint("".join(chat.texts))
    assert chat.texts[-1] == "Here it is."
    assert chat.messages[-1]["name"] == "Whole"
    assert len(model.requests) == 2


def test_the_conversation_goes_on(connect, model):
    chat = connect()
    model.script(Say("Hi Ann"))
    chat.invoke("SendMessage", "I am Ann", PLAN_VERSION)
    chat.invoke("SendMessage", "Who am I?", PLAN_VERSION)
    assert said(model, 2) == ["I am Ann", "Hi Ann", "Who am I?"]


def test_long_conversations_are_cut(connect, model):
    chat = connect()
    for number in range(12):
        model.script(Say(f"answer {number}"))
        chat.invoke("SendMessage", f"question {number}", PLAN_VERSION)
    assert said(model, 12)[0] == "question 2"
    assert len(said(model, 12)) == 19


def test_locale_unit_and_newest_plan_survive_a_long_conversation(connect, model):
    chat = connect(V2)
    chat.invoke("Introduce", "de-DE", PLAN_VERSION, "pounds")
    model.script(CallTool(plan(name="Hers")))
    chat.invoke("SendMessage", "A plan, please", PLAN_VERSION)
    for number in range(12):
        model.script(Say(f"answer {number}"))
        chat.invoke("SendMessage", f"question {number}", PLAN_VERSION)
    instructions, wish, call, result, *rest = model.wait_for_request(14).body["messages"]
    assert "de-DE, the weight unit pounds" in instructions["content"]
    assert (wish["content"], result["role"], rest[-1]["content"]) == ("A plan, please", "tool", "question 11")
    assert json.loads(call["tool_calls"][0]["function"]["arguments"])["name"] == "Hers"
    assert len(rest) < 18
    chat.invoke("RestartChat")
    chat.invoke("SendMessage", "Hello?", PLAN_VERSION)
    assert "de-DE" not in json.dumps(model.wait_for_request(15).body)


def test_an_old_app_is_told_and_nothing_else_happens(connect, model):
    chat = connect(V2)
    for arguments in (["Hello", 2], ["Hello"], ["Hello", None]):
        assert chat.invoke("SendMessage", *arguments) is None
    assert chat.invoke("Introduce", "en-US", 2) is None
    assert chat.messages == [{"type": "updateRequired", "requiredVersion": PLAN_VERSION}] * 4
    assert model.requests == []
    chat.invoke("SendMessage", "Hello", PLAN_VERSION)
    assert said(model, 1) == ["Hello"]


def test_a_whole_program_can_be_pasted(connect, model):
    chat = connect()
    program = "Bankdrücken 3×10; " * 10_000
    assert chat.invoke("SendMessage", program, PLAN_VERSION) is None
    assert said(model, 1) == [program]


def test_a_failing_model_leaves_a_message_and_a_hub_that_lives(connect, model):
    chat = connect()
    model.script(HttpError(400))
    assert chat.invoke("SendMessage", "Hello", PLAN_VERSION) is None
    assert chat.texts[-1].startswith("Sorry")
    model.script(Say("Hi"))
    assert chat.invoke("SendMessage", "Hello?", PLAN_VERSION) is None
    assert chat.texts[-1] == "Hi"


# stopping and starting anew


def test_stop_ends_the_turn_and_keeps_the_users_message(connect, model):
    chat = connect()
    model.script(Say("Listen"), Stall())
    turn = chat.begin("SendMessage", "Tell me everything", PLAN_VERSION)
    wait_for(lambda: "Listen" in chat.texts)
    assert chat.invoke("StopInProgress") is None
    assert chat.end(turn) is None
    assert model.wait_for_request(1).disconnected.wait(WAIT_SECONDS)
    assert chat.texts[-1] == "Listen"
    model.script(Say("Hi"))
    chat.invoke("SendMessage", "Shorter, please", PLAN_VERSION)
    assert said(model, 2) == ["Tell me everything\n\nShorter, please"]


def test_stop_reaches_a_turn_that_was_only_just_begun(connect, model):
    chat = connect()
    model.script(Stall())
    turn = chat.begin("SendMessage", "Hello", PLAN_VERSION)
    stop = chat.begin("StopInProgress")
    assert chat.end(stop) is None
    assert chat.end(turn) is None


def test_stop_without_a_turn_does_nothing(connect, model):
    chat = connect()
    assert chat.invoke("StopInProgress") is None
    model.script(Say("Hi"))
    assert chat.invoke("SendMessage", "Hello", PLAN_VERSION) is None
    assert chat.texts == ["Hi"]


def test_restart_forgets_what_was_said(connect, model):
    chat = connect()
    chat.invoke("SendMessage", "I am Ann", PLAN_VERSION)
    assert chat.invoke("RestartChat") is None
    chat.invoke("SendMessage", "Who am I?", PLAN_VERSION)
    assert said(model, 2) == ["Who am I?"]


def test_restart_ends_the_turn_and_forgets_it_too(connect, model):
    chat = connect()
    model.script(Say("Listen"), Stall())
    turn = chat.begin("SendMessage", "I am Ann", PLAN_VERSION)
    wait_for(lambda: "Listen" in chat.texts)
    assert chat.invoke("RestartChat") is None
    assert model.wait_for_request(1).disconnected.wait(WAIT_SECONDS)
    assert chat.invoke("SendMessage", "Who am I?", PLAN_VERSION) is None
    assert chat.end(turn) is None
    assert said(model, 2) == ["Who am I?"]


@pytest.mark.parametrize("hub", [V1, V2])
def test_an_app_that_restarts_while_an_answer_is_written_shows_the_introduction(connect, model, hub):
    """At the end of any call an app stops listening: the end of the one that it restarted must not come first."""
    chat = connect(hub)
    model.script(Say("Listen"), Stall())
    answer = chat.show("SendMessage", "Tell me everything", PLAN_VERSION)
    wait_for(lambda: "Listen" in chat.texts)
    model.script(Say("I am your coach and plan your workouts.", pause_seconds=0.03))
    chat.send("RestartChat")
    introduction = chat.show("Introduce", "en-AU", PLAN_VERSION, "kilograms")
    coach = {"type": "messageResponse", "message": "I am your coach and plan your workouts."}
    assert chat.shown(introduction) == coach
    assert chat.shown(answer) == coach, "its bubble is gone, and what it gets is shown nowhere"


def test_an_app_that_restarts_twice_shows_the_last_introduction(connect, model):
    chat = connect()
    model.script(Say("Listen"), Stall())
    model.script(Say("Let me"), Stall())
    model.script(Say("I am your coach.", pause_seconds=0.03))
    calls = [chat.show("SendMessage", "Tell me everything", PLAN_VERSION)]
    for number in (1, 2):
        model.wait_for_request(number)
        chat.send("RestartChat")
        calls.append(chat.show("Introduce", "en-AU", PLAN_VERSION, "kilograms"))
    assert chat.shown(calls[-1])["message"] == "I am your coach."
    assert all(chat.shown(call) for call in calls)


def test_a_call_that_was_ended_by_a_restart_completes_when_nothing_follows(hasty_chat, model):
    chat = hasty_chat()
    model.script(Say("Listen"), Stall())
    turn = chat.begin("SendMessage", "Tell me everything", PLAN_VERSION)
    wait_for(lambda: "Listen" in chat.texts)
    assert chat.invoke("RestartChat") is None
    assert chat.end(turn) is None


def test_stop_completes_the_call_at_once(connect, model):
    """Else an app's own Stop button would stay for five seconds."""
    chat = connect()
    model.script(Say("Listen"), Stall())
    turn = chat.begin("SendMessage", "Tell me everything", PLAN_VERSION)
    wait_for(lambda: "Listen" in chat.texts)
    chat.send("StopInProgress")
    assert chat.end(turn) is None


def test_a_second_turn_waits_for_the_first_and_stop_does_not(connect, model):
    chat = connect()
    model.script(Say("One"), Stall())
    model.script(Say("Two"))
    first = chat.begin("SendMessage", "First", PLAN_VERSION)
    wait_for(lambda: "One" in chat.texts)
    second = chat.begin("SendMessage", "Second", PLAN_VERSION)
    assert chat.invoke("StopInProgress") is None
    assert chat.end(first) is None
    assert chat.end(second) is None
    assert chat.texts == ["One", "Two"]
    assert said(model, 2) == ["First\n\nSecond"]


def test_too_many_waiting_turns_are_refused(connect, model):
    chat = connect()
    stall = Stall()
    model.script(stall)
    for _ in range(8):
        model.script(Say("Hi"))
    turns = [chat.begin("SendMessage", f"{number}", PLAN_VERSION) for number in range(10)]
    assert chat.end(turns[9]) == "Too many calls are waiting."
    stall.released.set()
    assert [chat.end(turn) for turn in turns[:9]] == [None] * 9


# calls


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("Nonsense", [], "Method does not exist."),
        ("sendmessage", ["Hello", 3], "Method does not exist."),
        ("SendMessage", [], "Argument 1 is missing or has another type."),
        ("SendMessage", [None, 3], "Argument 1 is missing or has another type."),
        ("SendMessage", [5, 3], "Argument 1 is missing or has another type."),
        ("SendMessage", ["Hello", "3"], "Argument 2 is missing or has another type."),
        ("SendMessage", ["Hello", True], "Argument 2 is missing or has another type."),
        ("Introduce", [{}, 3], "Argument 1 is missing or has another type."),
        ("SendMessage", ["Hello", 3, "surplus", {}], None),
        ("Introduce", [None, 3], None),
        ("Introduce", [], None),
        ("StopInProgress", ["surplus"], None),
        ("RestartChat", [1, 2, 3], None),
    ],
)
def test_arguments_are_checked_where_they_have_a_meaning(connect, model, method, arguments, error):
    assert connect(V2).invoke(method, *arguments) == error


def test_a_call_without_an_id_is_played_without_a_completion(connect, model):
    chat = connect()
    chat.send("Nonsense")
    chat.send("SendMessage", 5)
    model.script(Say("Hi"))
    chat.send("SendMessage", "Hello", PLAN_VERSION)
    wait_for(lambda: chat.texts == ["Hi"])
    assert "completed" not in chat.events


# connections


def test_two_connections_of_one_user_are_two_conversations(connect, model):
    one, other = connect(), connect()
    model.script(Say("Hi Ann"))
    one.invoke("SendMessage", "I am Ann", PLAN_VERSION)
    model.script(Say("No idea"))
    other.invoke("SendMessage", "Who am I?", PLAN_VERSION)
    assert said(model, 2) == ["Who am I?"]
    assert (one.texts[-1], other.texts[-1]) == ("Hi Ann", "No idea")


def test_a_connection_that_ends_takes_its_turn_with_it(driver, chat_server, model):
    for number, transport in enumerate(TRANSPORTS, 1):
        chat = driver.connect(chat_server.url + V2, transport)
        chat.wait_for("connected")
        model.script(Say("Listen"), Stall())
        chat.begin("SendMessage", "Hello", PLAN_VERSION)
        wait_for(lambda chat=chat: "Listen" in chat.texts)
        chat.begin("SendMessage", "And", PLAN_VERSION)
        assert chat.invoke("Nonsense") == "Method does not exist."  # so the one before has come
        chat.stop()
        assert model.wait_for_request(2 * number - 1).disconnected.wait(WAIT_SECONDS), transport
        after = driver.connect(chat_server.url + V2, transport)
        after.wait_for("connected")
        model.script(Say("Bye"))
        assert after.invoke("SendMessage", "Bye", PLAN_VERSION) is None
        said = [request.body["messages"][-1]["content"] for request in model.requests]
        assert said == ["Hello", "Bye"] * number  # what waited was asked of nobody
        after.stop()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_client_that_vanishes_is_noticed(hasty_server, model, transport):
    driver = Driver()
    try:
        chat = driver.connect(hasty_server.url + V2, transport, keepAliveMs=200)
        chat.wait_for("connected")
        model.script(Say("Listen"), Stall())
        chat.begin("SendMessage", "Hello", PLAN_VERSION)
        wait_for(lambda: "Listen" in chat.texts)
    finally:
        driver.kill()
    assert model.wait_for_request(1).disconnected.wait(WAIT_SECONDS)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_idle_connection_outlives_all_clocks(hasty_server, driver, model, transport):
    """The client gives up after 1.5 s without a ping; the server after 2 s. It pings after 0.3 s."""
    idle = driver.connect(hasty_server.url + V2, transport, serverTimeoutMs=1500, keepAliveMs=200)
    idle.wait_for("connected")
    busy = driver.connect(hasty_server.url + V2, transport, keepAliveMs=200)
    busy.wait_for("connected")
    model.script(Say("x" * 300, pause_seconds=0.03))
    busy.invoke("SendMessage", "Hello", PLAN_VERSION)
    model.script(Say("Hi"))
    assert idle.invoke("SendMessage", "Hello", PLAN_VERSION) is None
    assert idle.texts == ["Hi"]
    idle.stop()
    busy.stop()


@pytest.mark.parametrize("hub", [V1, V2])
def test_without_a_choice_the_client_takes_websockets(driver, chat_server, model, hub):
    chat = driver.connect(chat_server.url + hub)
    chat.wait_for("connected")
    model.script(Say("Hi"))
    assert chat.invoke("SendMessage", "Hello", PLAN_VERSION) is None
    chat.stop()


def test_websockets_need_no_negotiation(driver, chat_server, model):
    chat = driver.connect(chat_server.url + V2, "WebSockets", skipNegotiation=True)
    chat.wait_for("connected")
    model.script(Say("Hi"))
    assert chat.invoke("SendMessage", "Hello", PLAN_VERSION) is None
    chat.stop()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("path", [V2, f"/v2{V1}", f"/v2{V2}"])
def test_the_gateway_has_the_hubs_and_everything_is_below_v2(driver, gateway, model, transport, path):
    chat = driver.connect(gateway.url + path, transport)
    chat.wait_for("connected")
    model.script(Say("Hi"))
    assert chat.invoke("SendMessage", "Hello", PLAN_VERSION) is None
    assert chat.texts == ["Hi"]
    chat.stop()


@pytest.fixture(scope="module")
def gateway(new_chat_server):
    return new_chat_server("gateway")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("token", ["Web wrong", "key", "", "Nonsense key"])
def test_without_a_subscription_no_connection(driver, chat_server, transport, token):
    assert "401" in driver.connect(chat_server.url + V2, transport, token=token).wait_for("failed")["error"]
    refused = driver.connect(chat_server.url + V2, "WebSockets", token=token, skipNegotiation=True)
    refused.wait_for("failed")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_day_has_so_many_turns(driver, new_chat_server, model, transport, db):
    server = new_chat_server(CHAT_TURNS_PER_DAY="2", WEB_AUTH_API_KEY=f"key-{transport}")
    chat = driver.connect(server.url + V2, transport, token=f"Web key-{transport}")
    chat.wait_for("connected")
    assert chat.invoke("SendMessage", "Hello", 2) is None  # is not one
    for _ in range(2):
        model.script(Say("Hi"))
        assert chat.invoke("SendMessage", "Hello", PLAN_VERSION) is None
    assert chat.invoke("SendMessage", "Hello", PLAN_VERSION) is None
    assert [text for text in chat.texts if text != "Hi"] == [chat.texts[-1]]
    assert "24 hours" in chat.texts[-1]
    assert len(model.requests) == 2
    chat.stop()
    subscriber = hashlib.sha256(f"key-{transport}".encode()).hexdigest().upper()
    assert db.count("SELECT count(*) FROM rate_limit_consumptions WHERE key = :key", key=f"chat:{subscriber}") == 1
    assert (
        db.count("SELECT count(*) FROM rate_limit_consumptions WHERE key = :key", key=subscriber) == 0
    )  # of the REST routes


def test_the_package_of_the_client_is_pinned():
    package = json.loads((Path(__file__).parent.parent / "signalr" / "package.json").read_text())
    assert all(version[0].isdigit() for version in package["dependencies"].values())


def test_turns_are_counted_also_where_nothing_but_sockets_is_served(new_chat_server, driver, db):
    """No further request would write the metrics."""
    server = new_chat_server(METRICS_FLUSH_SECONDS="0.1")
    chat = driver.connect(server.url + V2, "WebSockets")
    chat.wait_for("connected")
    name = series("liftlog_chat_turns_total", hub=V2, method="SendMessage")
    before = metric_buckets.totals(db).get(name, 0)

    def is_counted():
        chat.invoke("SendMessage", "Hello", PLAN_VERSION)
        return metric_buckets.totals(db).get(name, 0) > before

    wait_for(is_counted)
    chat.stop()
