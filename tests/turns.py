"""Turns of a conversation in this process, against a scripted model over real HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from client.model_server import ModelServer
from functions.ai_chat import turns
from functions.ai_chat.histories import History
from shared.ai import model
from shared.settings.planner import model_settings

SPACING_SECONDS = 0.1
TIMEOUT_SECONDS = 2


@contextmanager
def scripted_model(timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[ModelServer]:
    """The model of this process, scripted."""
    with ModelServer() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_BASE_URL", server.base_url)
        environment.setenv("OPENAI_TIMEOUT_SECONDS", str(timeout_seconds))
        forget_settings()
        yield server
    forget_settings()


def forget_settings() -> None:
    """Have the settings and the model made anew."""
    model_settings.cache_clear()
    model.cache_clear()


class Client:
    """What an app gets, and when."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.moments: list[float] = []

    def emit(self, message: dict[str, Any]) -> None:
        """Take one argument of ReceiveMessage."""
        json.dumps(message, ensure_ascii=False).encode()
        self.got.append(message)
        self.moments.append(time.monotonic())

    @property
    def texts(self) -> list[str]:
        return [message["message"] for message in self.got if message["type"] == "messageResponse"]

    @property
    def plans(self) -> list[dict[str, Any]]:
        return [message for message in self.got if message["type"] == "chatPlan"]

    def assert_paced(self) -> None:
        """Whether no two messages came closer together than they may."""
        assert all(later - earlier >= SPACING_SECONDS - 0.001 for earlier, later in pairwise(self.moments))


def play(
    client: Client,
    *,
    history: Any = (),
    text: str = "Hi",
    version: int = 2,
    cancelled: threading.Event | None = None,
) -> History:
    """Play one turn, and return the conversation with it."""
    ended = cancelled or threading.Event()
    return turns.play(list(history), text, version=version, emit=client.emit, cancelled=ended)
