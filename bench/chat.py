"""`make bench-chat`: what the chat hubs cost beside the model, and what idle chats cost. Prints two tables.

The model is the scripted one, on this machine, as fast as it can. It is read once directly and once through the hub,
turn by turn, and the differences are the hub's. Idle chats are WebSockets of one gateway with room for so many.
"""

import http.client
import json
import secrets
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

from bench.databases import measured_database
from bench.servers import MeasuredServer, cpu_seconds, start_gateway
from client.model_server import ModelServer
from client.scripted_answers import Say

TOKENS = 4_000
CHARACTERS_PER_TOKEN = 4
ROUNDS = 9
IDLE_CHATS = (0, 50, 500, 900)  # gunicorn takes in at most 1000 connections
BESIDE_CHATS = 16
PLAIN_REQUESTS = 200
SEPARATOR = "\x1e"
HUB = "/ai-chat-v2"
KEY = "bench"
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of the model, read whole."""

    first_seconds: float  # from the question to the first piece
    seconds: float  # to the end
    cpu_seconds: float  # of the gateway


class BareWebSocket:
    """A WebSocket with as little around it as can be."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._texts: list[str] = []
        target = f"{HUB}?access_token=Web%20{KEY}"
        self._socket.sendall(self._protocol.send(Request(host="localhost", target=target)))
        self._receive()
        self.send({"protocol": "json", "version": 1})
        self.next()

    def send(self, message: dict[str, object]) -> None:
        self._socket.sendall(self._protocol.send(TextMessage(json.dumps(message) + SEPARATOR)))

    def next(self) -> str:
        """Return the next message."""
        while SEPARATOR not in "".join(self._texts):
            self._receive()
        message, _, rest = "".join(self._texts).partition(SEPARATOR)
        self._texts = [rest]
        return message

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> None:
        self._protocol.receive_data(self._socket.recv(1024 * 1024))
        for event in self._protocol.events():
            if isinstance(event, TextMessage):
                self._texts.append(event.data)
            else:
                assert isinstance(event, AcceptConnection), event  # noqa: S101 # nosec B101


def main() -> None:
    with ExitStack() as started:
        database = started.enter_context(measured_database())
        model = started.enter_context(ModelServer())
        print_tokens(database.url, model)
        print_idle(database.url, model)


@contextmanager
def gateway(database_url: str, model: ModelServer, chat_limit: int) -> Iterator[MeasuredServer]:
    server = start_gateway(
        database_url,
        CHAT_LIMIT=str(chat_limit), THREADS=str(chat_limit + BESIDE_CHATS), CHAT_TURNS_PER_DAY="0",
        CHAT_TOKEN_KEY=secrets.token_hex(), WEB_AUTH_API_KEY=KEY, OPENAI_BASE_URL=model.base_url, LOG_LEVEL="ERROR",
    )  # fmt: skip
    try:
        yield server
    finally:
        server.stop()


def print_tokens(database_url: str, model: ModelServer) -> None:
    """Measure in pairs, since the machine's neighbours come and go, and print the medians."""
    text = Say("x" * TOKENS * CHARACTERS_PER_TOKEN, CHARACTERS_PER_TOKEN)
    pairs = []
    with gateway(database_url, model, 50) as server:
        chat = BareWebSocket(server.port)
        for number in range(ROUNDS + 1):
            model.script(text)
            direct = read_directly(model.base_url)
            model.script(text)
            hub = read_through_hub(chat, server)
            if number:  # the first one imports the model's client
                pairs.append((direct, hub))
        chat.close()
    print(f"An answer of {TOKENS} tokens, {ROUNDS} pairs (medians)")
    print_line("read directly", [direct.seconds / TOKENS for direct, _ in pairs])
    print_line("through the hub, more", [(hub.seconds - direct.seconds) / TOKENS for direct, hub in pairs])
    print_line("CPU of the gateway", [hub.cpu_seconds / TOKENS for _, hub in pairs])
    later = [hub.first_seconds - direct.first_seconds for direct, hub in pairs]
    print(f"  {'first words later by':<24} {statistics.median(later) * 1e3:6.1f} ms")


def print_line(name: str, seconds: list[float]) -> None:
    print(f"  {name:<24} {statistics.median(seconds) * 1e6:6.1f} µs per token")


def read_directly(base_url: str) -> Reading:
    """Read the stream with nothing but Python's HTTP client."""
    parts = urlsplit(base_url)
    began = time.perf_counter()
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]})
    connection.request("POST", f"{parts.path}/chat/completions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    first = 0.0
    for line in answer:
        if not first and b"xxxx" in line:
            first = time.perf_counter() - began
    connection.close()
    return Reading(first, time.perf_counter() - began, 0)


def read_through_hub(chat: BareWebSocket, server: MeasuredServer) -> Reading:
    chat.send({"type": 1, "target": "RestartChat", "arguments": []})
    cpu = cpu_seconds(server.pid)
    began = time.perf_counter()
    call = {"type": 1, "invocationId": "1", "target": "SendMessage", "arguments": ["Hi", 3]}
    chat.send(call)
    first = 0.0
    while '"type":3' not in chat.next():
        first = first or time.perf_counter() - began
    return Reading(first, time.perf_counter() - began, cpu_seconds(server.pid) - cpu)


def print_idle(database_url: str, model: ModelServer) -> None:
    print()
    print("Idle chats of one gateway")
    print(
        f"  {'chats':>5} {'resident MB':>12} {'KB each':>8} {'threads':>8} {'GET /health/ready p50':>22} {'p95 ms':>7}"
    )
    empty = 0
    with gateway(database_url, model, max(IDLE_CHATS)) as server:
        chats: list[BareWebSocket] = []
        read_one_answer(server, model)
        for count in IDLE_CHATS:
            chats += [BareWebSocket(server.port) for _ in range(count - len(chats))]
            resident, threads = usage(server.pid)
            empty = empty or resident
            each = (resident - empty) / count / 1024 if count else 0
            p50, p95 = plain_requests(server.port)
            print(f"  {count:>5} {resident / MEGABYTE:>12.0f} {each:>8.0f} {threads:>8} {p50:>22.1f} {p95:>7.1f}")
        for chat in chats:
            chat.close()


def read_one_answer(server: MeasuredServer, model: ModelServer) -> None:
    """Have the gateway import what a turn needs, so that it is not counted as the chats'."""
    model.script(Say("Hi"))
    chat = BareWebSocket(server.port)
    read_through_hub(chat, server)
    chat.close()


def usage(pid: int) -> tuple[int, int]:
    """Return the resident bytes and the threads of arbiter and worker."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in processes), sum(process.num_threads() for process in processes)


def plain_requests(port: int) -> tuple[float, float]:
    """Return the median and the 95th percentile of other requests, in milliseconds."""
    seconds = []
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(PLAIN_REQUESTS):
        began = time.perf_counter()
        connection.request("GET", "/health/ready")
        connection.getresponse().read()
        seconds.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(seconds) * 1000, statistics.quantiles(seconds, n=20)[-1] * 1000


if __name__ == "__main__":
    main()
