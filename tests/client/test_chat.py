"""`make chat` as a person meets it: with its own server, with one that runs, and with what can be wrong."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from client import canned_coach
from client.hub_client import HubClient, HubFailed
from client.model_server import ModelServer
from client.scripted_answers import Say
from local.processes import free_port
from tests.scripted_faults import Stall
from tests.servers import Servers
from tests.waiting import WAIT_SECONDS

ROOT = Path(__file__).parent.parent.parent
KEY = "a-web-key"
HUB = "/ai-chat-v2"


@pytest.fixture(scope="module")
def model():
    with ModelServer() as running:
        yield running


@pytest.fixture(scope="module")
def url(database_url, model):
    """Return the URL of a running gateway whose model is ours."""
    settings = {
        "ENVIRONMENT": "local",
        "WEB_AUTH_API_KEY": KEY,
        "CHAT_TOKEN_KEY": "k" * 40,
        "OPENAI_BASE_URL": model.base_url,
        "THREADS": "80",
    }
    with Servers(database_url, **settings) as servers:
        yield servers["gateway"].url


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if name not in {"BASE_URL", "WEB_AUTH_API_KEY"}}
    return kept | {"COLUMNS": "100"} | changes


def chat(*arguments, typed="", **changes):
    return subprocess.run(
        [sys.executable, "-m", "client.chat", *arguments],
        cwd=ROOT,
        env=environment(**changes),
        input=typed,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_make_chat_runs_the_command_tested_here():
    command = ["make", "-n", "chat", "ARGS=--fake"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m client.chat --fake" in printed


def test_with_fake_it_needs_nothing_and_leaves_nothing():
    before = set(Path(tempfile.gettempdir()).glob("liftlog-chat-*"))
    talk = chat("--fake", "--say", "Make me a plan for two days")
    assert (talk.returncode, talk.stderr) == (0, "")
    assert canned_coach.INTRODUCTION[:40] in talk.stdout
    assert "Push, pull, legs" in talk.stdout
    assert talk.stdout.count("│ Bench press") == 1
    assert set(Path(tempfile.gettempdir()).glob("liftlog-chat-*")) - before == set()


def test_it_talks_with_a_running_server(url):
    talk = chat("--say", "hello", "--say", "make it four days", BASE_URL=url, WEB_AUTH_API_KEY=KEY)
    assert (talk.returncode, talk.stderr) == (0, "")
    answers = talk.stdout.split("coach › ")
    assert len(answers) == 4
    assert "training plans" in answers[2]
    assert "Push again" in answers[3]


def test_a_person_types_restarts_and_quits(url, model):
    before = len(model.requests)
    talk = chat(typed="hello\n\n  \n/restart\nhow are you\n/quit\nnever said\n", BASE_URL=url, WEB_AUTH_API_KEY=KEY)
    assert talk.returncode == 0
    said = [
        [message["content"] for message in request.body["messages"] if message["role"] == "user"][1:]
        for request in model.requests[before:]
    ]
    assert said == [[], ["hello"], [], ["how are you"]]


def test_the_end_of_the_input_ends_it(url):
    assert chat(BASE_URL=url, WEB_AUTH_API_KEY=KEY).returncode == 0


def test_locale_and_unit_reach_the_coach(url, model):
    before = len(model.requests)
    assert chat("--locale", "de-DE", "--unit", "pounds", "--token", f"Bearer web {KEY}", BASE_URL=url).returncode == 0
    (introduction,) = model.requests[before:]
    assert "de-DE" in introduction.body["messages"][-1]["content"]
    assert "pounds" in introduction.body["messages"][-1]["content"]


def test_ctrl_c_stops_an_answer_and_the_talk_goes_on(url, model):
    model.script(Say("Hello."))
    model.script(Say("Once upon a time "), Stall())
    before = len(model.requests)
    process = subprocess.Popen(
        [sys.executable, "-m", "client.chat", "--say", "tell me a story", "--say", "a plan for one day"],
        cwd=ROOT,
        env=environment(BASE_URL=url, WEB_AUTH_API_KEY=KEY),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        stalled = model.wait_for_request(before + 2, WAIT_SECONDS)
        process.send_signal(signal.SIGINT)
        assert stalled.disconnected.wait(WAIT_SECONDS)
        stdout, stderr = process.communicate(timeout=WAIT_SECONDS)
    finally:
        process.kill()
    assert (process.returncode, stderr) == (0, "")
    assert "Bench press" in stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token", "Web wrong"], "the server does not accept the token; is its WEB_AUTH_API_KEY the same?"),
        (["--token", "nonsense"], "the server does not accept the token; is its WEB_AUTH_API_KEY the same?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(url, arguments, said):
    talk = chat(*arguments, "--say", "hello", BASE_URL=url)
    assert (talk.returncode, talk.stdout, talk.stderr) == (1, "", f"make chat: {said}\n")


def test_a_strangers_server_is_not_shown_the_local_key(tmp_path):
    talk = chat(BASE_URL="http://chat.invalid", DATA_DIR=str(tmp_path))
    assert (talk.returncode, list(tmp_path.iterdir())) == (1, [])
    assert talk.stderr.startswith("make chat: set WEB_AUTH_API_KEY to the server's")


def test_a_server_that_nobody_runs_is_named():
    base_url = f"http://localhost:{free_port()}"
    talk = chat("--token", "Web x", BASE_URL=base_url)
    assert talk.returncode == 1
    assert talk.stderr == f"make chat: no server answers on {base_url}; run `make serve` first\n"


def test_calls_that_the_hub_refuses_are_said(url):
    with HubClient(url, HUB, f"Web {KEY}") as hub:
        call = hub.begin("NoSuchMethod")
        with pytest.raises(HubFailed):
            hub.finish(call)
