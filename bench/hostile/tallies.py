"""What an attack saw: how often it asked, and what of the answers is a fault."""

import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

HEAD = b"HEAD "  # whose answer has no body to say why
PROMISED = frozenset(
    {"overloaded", "misrouted", "chats-full", "an answer to HEAD"}
)  # docs/api.md: they say when to come again
UNAVAILABLE, LEAST_FAULT = 503, 500
HANG_SECONDS = 30.0
PATIENCE_SECONDS = 0.3  # for what may not be whole; then it is said that nothing follows
MOST_EXAMPLES = 5
_END_OF_HEAD = b"\r\n\r\n"
_CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class Tally:
    """Counts of one attack, and examples of what was wrong. It is handed from process to process."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)  # 0: the server hung up without a word
    promised: Counter[str] = field(default_factory=Counter)  # 503 by the problem that they name
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0
    hangs: list[str] = field(default_factory=list)
    hang_count: int = 0
    remarks: list[str] = field(default_factory=list)

    def note(self, request: bytes, status: int, answer: bytes) -> None:
        """Note an answer, or status 0 where there was none."""
        self.requests += 1
        self.statuses[status] += 1
        if status < LEAST_FAULT:
            return
        problem = "an answer to HEAD" if request.startswith(HEAD) else problem_of(answer)
        if status == UNAVAILABLE and problem in PROMISED and b"\r\nretry-after:" in answer.lower():
            self.promised[problem] += 1
        else:
            self.fault_count += 1
            self._keep(self.faults, f"{status} {problem}: {request[:400]!r}")

    def note_hang(self, request: bytes) -> None:
        """Note that nothing came and nobody hung up."""
        self.requests += 1
        self.hang_count += 1
        self._keep(self.hangs, repr(request[:400]))

    def add(self, other: "Tally") -> None:
        """Take another one in."""
        self.requests += other.requests
        self.statuses += other.statuses
        self.promised += other.promised
        self.fault_count += other.fault_count
        self.hang_count += other.hang_count
        self.faults = (self.faults + other.faults)[:MOST_EXAMPLES]
        self.hangs = (self.hangs + other.hangs)[:MOST_EXAMPLES]

    @staticmethod
    def _keep(examples: list[str], example: str) -> None:
        if len(examples) < MOST_EXAMPLES:
            examples.append(example)


def problem_of(answer: bytes) -> str:
    """Return the last word of the type of the problem that an answer's bytes hold, if they do."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(answer.partition(_END_OF_HEAD)[2])["type"]).rpartition(":")[2]
    return ""


def of_threads(count: int, run: Callable[[int], Tally]) -> Tally:
    """Run something in so many threads at once, each with its number, and return what all saw."""
    total = Tally()
    with ThreadPoolExecutor(count) as threads:
        for tally in threads.map(run, range(count)):
            total.add(tally)
    return total


def ask(port: int, request: bytes, tally: Tally, *, may_be_broken: bool = False) -> None:
    """Send bytes and note what becomes of them. What may be broken, and so wait for more, is ended after a moment."""
    answer = bytearray()
    try:
        with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as connection:
            with suppress(ConnectionError):  # it hung up on us, perhaps with an answer
                connection.sendall(request)
            for chunk in _chunks(connection, PATIENCE_SECONDS if may_be_broken else HANG_SECONDS):
                answer += chunk
                length = _length(answer, is_head=request.startswith(HEAD))
                if length is not None and len(answer) >= length:
                    del answer[length:]  # what follows is about what follows the first request in the bytes
                    break
    except TimeoutError:
        tally.note_hang(request)
    except OSError:
        tally.note(request, 0, b"")
    else:
        tally.note(request, int(answer[9:12]) if answer[9:12].isdigit() else 0, bytes(answer))


def _chunks(connection: socket.socket, patience_seconds: float) -> Iterator[bytes]:
    """Yield what comes until the end. Raises TimeoutError where it does not come."""
    deadline = time.monotonic() + HANG_SECONDS
    connection.settimeout(patience_seconds)
    while time.monotonic() < deadline:
        try:
            chunk = connection.recv(_CHUNK_BYTES)
        except TimeoutError:
            connection.shutdown(socket.SHUT_WR)
            continue
        if not chunk:
            return
        yield chunk
    raise TimeoutError


def _length(answer: bytearray, *, is_head: bool) -> int | None:
    """Return how long the first answer is with its head, None where that is not known (yet)."""
    end = answer.find(_END_OF_HEAD)
    length = answer[: max(end, 0)].lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0].strip()
    if end < 0 or not (is_head or length.isdigit()):
        return None
    return end + len(_END_OF_HEAD) + (0 if is_head else int(length))
