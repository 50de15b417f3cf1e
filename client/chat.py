"""`make chat`: talk with the planner of a running server (BASE_URL) in a terminal, and see plans grow.

With `--fake` it brings a server of its own, with an empty database and a canned coach instead of a language model: no
key, no network, and nothing is left behind. Ctrl-C stops an answer; /restart forgets the conversation, /quit ends it.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from client.hub_client import HubClient, HubClosed, HubFailed
from client.model_server import ModelServer
from client.plan_view import plan_view
from local.children import die_with_parent
from local.processes import free_port
from local.secrets import WEB_KEY, kept_secret
from local.settings import client_settings, local_settings
from shared.errors import InvalidSetting

HUB = "/ai-chat-v2"
PLAN_VERSION = 3
STOP_SECONDS = 8.0
READY = "LiftLog answers on "
_POLL_SECONDS = 0.05
PROMPT = ("you › ", "bold green")
GREETING = "Ctrl-C stops an answer, /restart forgets, /quit ends."

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatClientSettings:
    """Which server to talk with, and as whom.

    WEB_AUTH_API_KEY    the server's key of the store Web; default the one that `make serve` keeps under DATA_DIR
    """

    base_url: str
    web_key: str


def chat_client_settings() -> ChatClientSettings:
    """Read the settings from the environment. Raises InvalidSetting, and OSError if DATA_DIR cannot be used."""
    base_url = client_settings().base_url
    web_key = os.environ.get("WEB_AUTH_API_KEY", "")
    if not web_key and urlsplit(base_url).hostname in {"localhost", "127.0.0.1"}:
        web_key = kept_secret(local_settings().data_dir, WEB_KEY)
    return ChatClientSettings(base_url, web_key)


def main() -> int:
    """Talk until the person has had enough. Return the exit status."""
    options = _options()
    console = Console(highlight=False)
    try:
        with ExitStack() as started:
            settings = started.enter_context(fake_server(console)) if options.fake else chat_client_settings()
            hub = started.enter_context(HubClient(settings.base_url, HUB, _authorization(options, settings)))
            chat = Chat(console, hub, options.locale, options.unit)
            chat.introduce()
            for text in _said(console, options.say) if options.say else _typed(console):
                chat.say(text)
    except (HubFailed, HubClosed, InvalidSetting, OSError) as error:
        print(f"make chat: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chat ARGS=…", description="Talk with the planner.")
    parser.add_argument("--fake", action="store_true", help="bring a server and a canned coach: no key is needed")
    parser.add_argument("--say", action="append", metavar="TEXT", help="say this instead of asking; may be repeated")
    parser.add_argument("--token", metavar='"STORE TOKEN"', help="who you are; default: Web and WEB_AUTH_API_KEY")
    parser.add_argument("--locale", default="en-AU", help="default en-AU")
    parser.add_argument("--unit", default="kilograms", help="kilograms (the default) or pounds")
    return parser.parse_args()


def _authorization(options: argparse.Namespace, settings: ChatClientSettings) -> str:
    if options.token:
        return str(options.token)
    if not settings.web_key:
        raise HubFailed("set WEB_AUTH_API_KEY to the server's, or try ARGS=--fake, which needs no key")
    return f"Web {settings.web_key}"


def _said(console: Console, texts: list[str]) -> Iterator[str]:
    """Yield what the command line says, shown as if somebody typed it."""
    for text in texts:
        console.print(Text.assemble("\n", PROMPT, text))
        yield text


def _typed(console: Console) -> Iterator[str]:
    """Yield what a person types, until the end."""
    console.print(GREETING, style="dim")
    while True:
        try:
            text = console.input(Text.assemble("\n", PROMPT)).strip()
        except EOFError:
            return
        if text == "/quit":
            return
        if text:
            yield text


class Chat:
    """A conversation on a terminal."""

    def __init__(self, console: Console, hub: HubClient, locale: str, unit: str) -> None:
        self._console = console
        self._hub = hub
        self._locale = locale
        self._unit = unit

    def introduce(self) -> None:
        """Let the coach say hello."""
        self._turn("Introduce", self._locale, PLAN_VERSION, self._unit)

    def say(self, text: str) -> None:
        """Say something and show the answer, or do what a command says."""
        if text == "/restart":
            self._hub.finish(self._hub.begin("RestartChat"))
            self.introduce()
        else:
            self._turn("SendMessage", text, PLAN_VERSION)

    def _turn(self, method: str, *arguments: Any) -> None:
        """Show an answer as it grows. Ctrl-C ends it, and what has come stays; twice, it ends the chat."""
        answer = ShownAnswer()
        call = self._hub.begin(method, *arguments)
        with Live(answer.view(), console=self._console, refresh_per_second=10) as live:
            try:
                self._follow(call, answer, live)
            except KeyboardInterrupt:
                self._hub.begin("StopInProgress")
                self._follow(call, answer, live)
        if not self._console.is_terminal:
            self._console.print()  # a finished display ends its line on terminals only

    def _follow(self, call: str, answer: "ShownAnswer", live: Live) -> None:
        while (message := self._hub.receive(call)) is not None:
            answer.take(message)
            live.update(answer.view())


class ShownAnswer:
    """What has come of one answer."""

    def __init__(self) -> None:
        self._text = ""
        self._plan: Json | None = None

    def take(self, message: Json) -> None:
        """Take in what the hub sends; each message of a kind replaces the one before."""
        match message.get("type"):
            case "messageResponse":
                self._text = message["message"]
            case "chatPlan":
                self._plan = message
            case "updateRequired":
                self._text = f"The server wants clients for plans of version {message['requiredVersion']}."

    def view(self) -> RenderableType:
        said = Text.assemble(("coach › ", "bold magenta"), self._text)
        return Group(said) if self._plan is None else Group(said, plan_view(self._plan))


@contextmanager
def fake_server(console: Console) -> Iterator[ChatClientSettings]:
    """Run a server on an empty database beside a canned coach. Raises HubFailed."""
    with ModelServer() as model, tempfile.TemporaryDirectory(prefix="liftlog-chat-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL's own account passes through
        console.print("Starting a server of its own, with a canned coach …", style="dim")
        strange = {"DATABASE_URL", "RATE_LIMIT_DATABASE_URL", "HOST", "WEB_AUTH_API_KEY"}
        environment = {name: value for name, value in os.environ.items() if name not in strange} | {
            "DATA_DIR": folder,
            "PORT": str(free_port()),
            "ENVIRONMENT": "local",
            "OPENAI_API_KEY": "canned",
            "OPENAI_BASE_URL": model.base_url,
        }
        with _serving(environment, Path(folder) / "server.log") as url:
            yield ChatClientSettings(url, kept_secret(Path(folder), WEB_KEY))


@contextmanager
def _serving(environment: dict[str, str], log: Path) -> Iterator[str]:
    """Run `make serve` and return its URL; what it says goes into the log. Raises HubFailed."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "local.serve"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the answer
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it only calls the kernel
        )
    try:
        while (url := _url_in(log)) is None:
            if server.poll() is not None:
                raise HubFailed(f"the server did not start: {log.read_text().strip()}")
            time.sleep(_POLL_SECONDS)
        yield url
    finally:
        server.terminate()
        server.wait(STOP_SECONDS)


def _url_in(log: Path) -> str | None:
    lines = log.read_text().splitlines()
    return next((line.removeprefix(READY).split()[0] for line in lines if line.startswith(READY)), None)


if __name__ == "__main__":
    sys.exit(main())
