"""The page to talk with the planner, in a real browser, with a real hub before a scripted model."""

import json
import re

import pytest
import requests

from client import canned_coach
from client.scripted_answers import CallTool, Say
from functions.ai_chat import plans
from functions.gateway import chat
from local.processes import free_port
from tests.browsers import Browser
from tests.hub_clients import FOLDER
from tests.scripted_faults import Stall
from tests.servers import Server
from tests.waiting import WAIT_SECONDS

KEY = "key"  # of new_chat_server
LAST = "[...document.querySelectorAll('.coach')].at(-1).textContent"
STATE = "document.querySelector('#state').textContent"
ROWS = "[...document.querySelectorAll('.plan td:first-child')].map(cell => cell.textContent)"
WIDTH = 360


@pytest.fixture(scope="module")
def gateway(new_chat_server):
    return new_chat_server("gateway")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.resize(WIDTH, 740)
        yield browser


@pytest.fixture
def page(browser, gateway):
    """Return a browser at the page, in a tab that knows no key."""
    browser.open(f"{gateway.url}/chat")
    browser.run("sessionStorage.clear()")
    browser.open(f"{gateway.url}/chat")
    return browser


def press(browser, what):
    browser.run(f"document.querySelector('{what}').click()")


def show_key(browser, key=KEY):
    browser.run(f"document.querySelector('#key').value = {key!r}")
    press(browser, "#way-in button")


def say(browser, text):
    browser.wait_until("!document.querySelector('#send').disabled")
    browser.run(f"document.querySelector('#text').value = {json.dumps(text)}")
    press(browser, "#send")


def plan_for(days):
    request = {"messages": [{"role": "user", "content": f"a plan for {days} days"}], "tools": [plans.tool(2)]}
    return canned_coach.reply(request).arguments


@pytest.mark.slow
def test_a_person_gets_a_plan_that_is_drawn_as_it_grows(page, model):
    model.script(Say("Hello!"))
    show_key(page)
    page.wait_until(f"{LAST} === 'Hello!'")
    text = json.dumps(plan_for(2))
    half, rest = text[: len(text) // 2], text[len(text) // 2 :]
    stall = Stall()
    whole = CallTool(half, fragment_characters=200), stall, More(rest), Say("Done.")
    model.script(*whole)
    say(page, "Two days, please <b>now</b>")
    page.wait_until(f"{ROWS}.length > 0")
    growing = page.run(ROWS)
    assert growing[0] == "Bench press"
    assert len(growing) < 6
    assert page.run("document.documentElement.scrollWidth") == WIDTH
    stall.released.set()
    page.wait_until(f"{ROWS}.length === 6 && !document.querySelector('#send').disabled")
    cells = page.run("[...document.querySelectorAll('.plan tr:nth-child(2) td')].map(cell => cell.textContent)")
    assert cells[:4] == ["Bench press", "3 × 8–10", "1:30–3:00", "+2.5 load"]
    assert page.run("document.querySelector('.mine').textContent") == "Two days, please <b>now</b>"
    assert page.run("document.querySelectorAll('.mine b').length") == 0
    assert page.run("document.documentElement.scrollWidth") == WIDTH


class More:
    """More of the arguments of a call that has begun."""

    def __init__(self, text):
        self.text = text

    def play(self, answer):
        answer.delta({"tool_calls": [{"index": 0, "function": {"arguments": self.text}}]})


@pytest.mark.slow
def test_a_wrong_key_is_said_to_be_one_and_not_kept(page, gateway):
    show_key(page, "wrong")
    page.wait_until(f"{STATE} === 'That is not the key.'")
    assert page.run("sessionStorage.length") == 0
    assert page.run("document.querySelector('#say').hidden")


@pytest.mark.slow
def test_the_key_is_known_until_the_tab_is_closed(page, gateway, model):
    model.script(Say("One."))
    show_key(page)
    page.wait_until(f"{LAST} === 'One.'")
    model.script(Say("Two."))
    page.open(f"{gateway.url}/chat?again")
    page.wait_until(f"{LAST} === 'Two.'")
    assert page.run("localStorage.length") == 0
    assert page.run("document.cookie") == ""


@pytest.mark.slow
def test_stop_keeps_what_was_said_and_the_next_turn_goes_on(page, model):
    model.script(Say("Hello!"))
    show_key(page)
    page.wait_until(f"{LAST} === 'Hello!'")
    model.script(Say("A long story", 99), Stall())
    say(page, "Tell me")
    page.wait_until(f"{LAST} === 'A long story'")
    press(page, "#stop")
    page.wait_until("document.querySelector('#stop').hidden")
    assert page.run(LAST) == "A long story"
    model.script(Say("Yes."))
    say(page, "And?")
    page.wait_until(f"{LAST} === 'Yes.'")


@pytest.mark.slow
def test_starting_over_forgets_what_was_said(page, model):
    model.script(Say("Hello!"))
    show_key(page)
    page.wait_until(f"{LAST} === 'Hello!'")
    model.script(Say("A secret", 99), Stall())
    say(page, "Remember the word xylophone")
    page.wait_until(f"{LAST} === 'A secret'")
    model.script(Say("Who are you?"))
    press(page, "#restart")
    page.wait_until(f"{LAST} === 'Who are you?'")
    assert page.run("document.querySelectorAll('.mine').length") == 0
    assert "xylophone" not in json.dumps(model.requests[-1].body)
    model.script(Say("Again."))
    say(page, "Hi")
    page.wait_until(f"{LAST} === 'Again.'")


@pytest.mark.slow
def test_a_server_that_comes_back_is_found_again(browser, new_chat_server, model):
    port = free_port()
    first = new_chat_server("gateway", port=port)
    browser.open(f"{first.url}/chat")
    model.script(Say("Hello!"))
    show_key(browser)
    browser.wait_until(f"{LAST} === 'Hello!'")
    first.stop()
    browser.wait_until(f"{STATE}.startsWith('The connection is lost')")
    new_chat_server("gateway", port=port)
    browser.wait_until("document.querySelector('.note')?.textContent.startsWith('Connected again')")
    model.script(Say("Here."))
    say(browser, "Are you there?")
    browser.wait_until(f"{LAST} === 'Here.'")


def test_what_is_not_set_up_is_said_with_the_line_that_does_it(database_url):
    server = Server(
        "gateway", DATABASE_URL=database_url, ENVIRONMENT="local", OPENAI_API_KEY="", OPENAI_BASE_URL="",
        WEB_AUTH_API_KEY="",
    )  # fmt: skip
    try:
        text = requests.get(f"{server.url}/chat", timeout=WAIT_SECONDS).text
    finally:
        server.stop()
    assert "<code>OPENAI_API_KEY=… make serve</code>" in text
    assert "<code>WEB_AUTH_API_KEY=… make serve</code>" in text
    assert "<form" not in text


def test_the_page_asks_nobody_else_and_holds_no_key(gateway):
    text = requests.get(f"{gateway.url}/chat", timeout=WAIT_SECONDS).text
    own = text.replace(chat.CLIENT.read_text(), "")
    assert own != text
    assert not re.search(r"(src|href)=|https?://|@import|url\(|innerHTML", own)
    assert f'"{KEY}"' not in own.replace('id="key"', "").replace('for="key"', "").replace('at("key")', "")


def test_the_client_is_the_one_that_the_hubs_are_tested_with():
    lock = json.loads((FOLDER / "package-lock.json").read_text())
    version = lock["packages"]["node_modules/@microsoft/signalr"]["version"]
    assert f"JavaScript {version}\n" in (chat.CLIENT.parent / "README.md").read_text()
    installed = FOLDER / "node_modules" / "@microsoft" / "signalr" / "dist" / "browser" / chat.CLIENT.name
    if installed.exists():
        assert installed.read_bytes() == chat.CLIENT.read_bytes()
