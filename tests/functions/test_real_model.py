"""A real model at llama.cpp's own server, with the documented settings, through the real functions: all is valid.

The toy of `make test-model` fills in what its grammar allows, at random, and fits no person; what is held here is
that nobody meets an error. `make test` plays one of each in CI, `make test-model` all of them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from functions.ai_chat import answers, turns
from tests import wire_forms
from tests.examples.ai import PLAN_WISHES, SESSION_WISHES
from tests.real_model import SILENCE_SECONDS, llama_server
from tests.servers import Server

pytestmark = pytest.mark.slow
PLAYS_ALL = os.environ.get("MODEL_ROUNDS") == "all"
ROUNDS = range(10 if PLAYS_ALL else 1)
CHATS = [
    ("/ai-chat-v2", "LongPolling"), ("/ai-chat", "WebSockets"), ("/ai-chat-v2", "WebSockets"),
    ("/ai-chat", "LongPolling"), ("/ai-chat-v2", "WebSockets"),
][: 5 if PLAYS_ALL else 1]  # fmt: skip
SAID = ["A plan for two days a week, please.", "Make it shorter."][: 2 if PLAYS_ALL else 1]
PLAN_VERSION = 3
ANSWER_SECONDS = 3 * SILENCE_SECONDS
SETTINGS = {
    "OPENAI_TIMEOUT_SECONDS": str(SILENCE_SECONDS),
    "OPENAI_HISTORY_TOKENS": "2000",
}  # the toy's context is 8192
SORRY = [turns.UNAVAILABLE, turns.CONTEXT_FULL, turns.NOT_SET_UP, answers.REFUSED, answers.EMPTY, answers.BROKEN_PLAN]
FORMS = {"/ai-chat": wire_forms.CHAT_V1, "/ai-chat-v2": wire_forms.CHAT_V2}


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with llama_server() as url:
        yield url


@pytest.fixture(scope="module")
def gateway(database_url: str, base_url: str) -> Iterator[Server]:
    environment = {"WEB_AUTH_API_KEY": "key", "OPENAI_BASE_URL": base_url, "CHAT_TURNS_PER_DAY": "0"} | SETTINGS
    options: dict[str, Any] = environment | {
        "DATABASE_URL": database_url,
        "ENVIRONMENT": "local",
        "TEST_MODE": "true",
    }
    server = Server("gateway", **options)
    yield server
    server.stop()


def asked(gateway: Server, path: str, wishes: dict[str, Any]) -> Any:
    headers = {"Authorization": "Web key"}
    answer = requests.post(gateway.url + path, json={"attributes": wishes}, headers=headers, timeout=ANSWER_SECONDS)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("number", ROUNDS)
def test_a_session_is_valid(gateway, number):
    session = asked(gateway, "/ai/session", SESSION_WISHES | {"volume": 10 * number})
    Draft202012Validator(wire_forms.REST_SESSION).validate(session)


@pytest.mark.skipif(not PLAYS_ALL, reason="a toy's plan takes minutes: make test-model plays ten")
@pytest.mark.parametrize("number", ROUNDS)
def test_a_plan_is_valid(gateway, number):
    plan = asked(gateway, "/ai/workout", PLAN_WISHES | {"daysPerWeek": 1 + number % 7})
    Draft202012Validator(wire_forms.REST_PLAN).validate(plan)


@pytest.mark.parametrize(("hub", "transport"), CHATS)
def test_a_chat_ends_each_turn_with_words_or_a_plan(gateway, driver, hub, transport):
    chat = driver.connect(gateway.url + hub, transport)
    chat.wait_for("connected")
    version = [] if hub == "/ai-chat" else [PLAN_VERSION]
    for method, *arguments in [("Introduce", "en-AU", *version), *[("SendMessage", text, *version) for text in SAID]]:
        before = len(chat.messages)
        call = chat.begin(method, *arguments)
        assert chat.wait_for("completed", ANSWER_SECONDS, call=call)["error"] is None
        last = chat.messages[before:][-1]
        if last["type"] == "chatPlan":
            Draft202012Validator(FORMS[hub]).validate(last)
        else:
            assert not [sorry for sorry in SORRY if sorry in last["message"]]
    chat.stop()


@pytest.mark.skipif(not PLAYS_ALL, reason="make test-model asks the toy")
def test_the_toy_gets_a_table(base_url):
    environment = os.environ | SETTINGS | {"OPENAI_BASE_URL": base_url}
    command = [sys.executable, "-m", "evaluation", "--only", "only a question"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "1/1" in told.stdout
