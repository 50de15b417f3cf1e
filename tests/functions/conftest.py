"""Fixtures of the chat hubs: a scripted model, servers before it, and the official client."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client.model_server import ModelServer
from tests.hub_clients import Driver
from tests.servers import Server

SHORT_TIMES = Path(__file__).parent.parent / "short_times" / "main.py"


@pytest.fixture(scope="module")
def model_server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def model(model_server: ModelServer) -> ModelServer:
    """Return the model that all chat servers ask, without the requests of other tests."""
    model_server.requests.clear()
    return model_server


@pytest.fixture(scope="module")
def new_chat_server(database_url: str, model_server: ModelServer) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server with the hubs, or one more with the same key and database."""
    started: list[Server] = []

    def start(name: str = "ai_chat", **options: Any) -> Server:
        planner = {"WEB_AUTH_API_KEY": "key", "OPENAI_BASE_URL": model_server.base_url, "CHAT_TURNS_PER_DAY": "0"}
        server = Server(name, **({"DATABASE_URL": database_url} | planner | options))
        started.append(server)
        return server

    yield start
    for server in started:
        server.process.terminate()
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def chat_server(new_chat_server: Callable[..., Server]) -> Server:
    return new_chat_server()


@pytest.fixture(scope="module")
def hasty_server(new_chat_server: Callable[..., Server]) -> Server:
    """Return a server with short clocks."""
    return new_chat_server(source=SHORT_TIMES)


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    """Return the process in which the official client lives."""
    driver = Driver()
    yield driver
    driver.close()
