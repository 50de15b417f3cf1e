"""Connections: the one place that knows pg8000's constructor, its prepared statements, and its socket."""

import select
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pg8000.core import BIND, DATA_ROW, EXECUTE_MSG, READY_FOR_QUERY, SYNC_MSG, Context, _read
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection as NativeConnection
from pg8000.native import PreparedStatement

from shared.data import cloud_sql
from shared.errors import DatabaseUnavailable, ProviderUnavailable
from shared.memory import LARGE_BYTES, budget
from shared.settings.secrets import secret

CONNECT_TIMEOUT_SECONDS = 5.0
STATEMENT_TIMEOUT_SECONDS = 15
LOCK_TIMEOUT_SECONDS = 5
ANSWER_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS + 5.0  # the server's own limit comes first

SESSION_SETTINGS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
    "timezone": "UTC",
}

_UINT16 = struct.Struct("!H")
_INT32 = struct.Struct("!i")
_HEADER = struct.Struct("!ci")
_TEXT, _BINARY = _UINT16.pack(0), _UINT16.pack(1)
COPIES_OF_ANSWER = 3  # that exist at once, until it is written: as it comes, as text, encoded, compressed
_PIECE_BYTES = 1024 * 1024

Row = list[Any]
T = TypeVar("T")


class _OneFlight(NativeConnection):  # type: ignore[misc] # pg8000 has no types
    """pg8000's connection, running a prepared statement in one flight: one packet there, one answer back.

    pg8000 asks the server to flush after Bind and after Execute, so that an answer comes in three pieces. Without, it
    comes in one, after Sync (PostgreSQL manual, "Extended Query"): 115 µs of CPU a statement become 82.

    Bytes go as they are, not as twice as many hexadecimal digits, and what is large is copied once each way.
    `may_refuse`: whether an answer may be given up where there is no memory for it.
    `each_row`: takes the rows one by one as they come; None: they are collected, and count in the memory's budget.
    """

    may_refuse = True
    each_row: Callable[["Row"], None] | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register_out_adapter(bytes, bytes)

    def execute_named(
        self,
        statement_name_bin: bytes,
        params: tuple[str | bytes | None, ...],
        columns: list[dict[str, Any]] | None,
        input_funcs: list[Callable[[str], Any]],
        statement: str,
    ) -> Context:
        formats = [_BINARY if isinstance(value, bytes) else _TEXT for value in params]
        values = [b"\0", statement_name_bin, _UINT16.pack(len(params)), *formats, _UINT16.pack(len(params))]
        for value in params:
            if value is None:
                values.append(_INT32.pack(-1))
            else:
                encoded = value if isinstance(value, bytes) else value.encode()
                values += (_INT32.pack(len(encoded)), encoded)
        values.append(_UINT16.pack(0))  # all results are text
        length = _INT32.size + sum(map(len, values))
        self._usock.sendall(b"".join((BIND, _INT32.pack(length), *values, EXECUTE_MSG, SYNC_MSG)))
        context = Context(statement, columns=columns, input_funcs=input_funcs)
        self.handle_messages(context)
        return context

    def handle_messages(self, context: Context) -> None:
        """Take in an answer. Raises what the server reports; Overloaded if there is no memory for it."""
        code = None
        while code != READY_FOR_QUERY:
            code, length = _HEADER.unpack(_read(self._sock, _HEADER.size))
            length -= _INT32.size
            if code != DATA_ROW or length < LARGE_BYTES:
                self.message_types[code](_read(self._sock, length), context)
            else:
                if self.each_row is None:
                    budget().reserve(COPIES_OF_ANSWER * length, may_refuse=self.may_refuse)
                self.message_types[code](_read_large(self._sock, length), context)
            if code == DATA_ROW and self.each_row is not None:
                self.each_row(context.rows.pop())
        if context.error is not None:
            raise context.error


def _read_large(stream: Any, length: int) -> memoryview:
    """Return so many bytes, without a copy. Raises InterfaceError."""
    received = memoryview(bytearray(length))
    at = 0
    while at < length:
        count = stream.readinto(received[at : at + _PIECE_BYTES])
        if not count:
            raise InterfaceError("network error")
        at += count
    return received


class Connection:
    """An open connection in autocommit mode that remembers each statement it has prepared."""

    def __init__(self, url: str) -> None:
        """Connect. Raises DatabaseUnavailable."""
        try:
            self._native = connect(url, _OneFlight, ANSWER_TIMEOUT_SECONDS)
        except (DatabaseError, InterfaceError, OSError) as error:
            raise DatabaseUnavailable("cannot connect") from error
        except ProviderUnavailable as error:
            raise DatabaseUnavailable(str(error)) from error
        self._poller = select.poll()
        self._poller.register(self._native._usock, select.POLLIN)
        self._prepared: dict[str, PreparedStatement] = {}

    def run(
        self,
        statement: str,
        parameters: dict[str, Any],
        *,
        may_refuse: bool = False,
        each_row: Callable[[Row], None] | None = None,
    ) -> list[Row]:
        """Run one statement in one round trip (two when it is new to this connection).

        Raises what pg8000 raises. An answer that is too large for now `may` be refused, if nothing is lost with it:
        then it raises Overloaded, and the connection is of no more use. Nor is it after what `each_row` raises, which
        takes the rows as they come, so that none is returned.
        """
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = PreparedStatement(self._native, statement)
        self._native.may_refuse = may_refuse
        self._native.each_row = each_row
        rows: list[Row] = prepared.run(**parameters)
        prepared._context = None  # else it keeps the rows until it is run again
        return rows

    def forget_prepared(self) -> None:
        """Prepare every statement anew at its next use: a migration has changed the tables under them."""
        self._prepared.clear()

    def is_silent(self) -> bool:
        """Tell whether an idle connection is usable: a server that has ended it sent a farewell or closed."""
        return not self._poller.poll(0)

    def notifications(self, seconds: float) -> list[tuple[str, str]]:
        """Wait so long for notifications, and return channel and payload of each. Raises what pg8000 raises."""
        if not self._poller.poll(seconds * 1000):
            return []
        self.run("SELECT", {})  # pg8000 takes notifications in with the answer to a statement
        queue = self._native.notifications
        return [queue.popleft()[1:] for _ in range(len(queue))]

    def close(self) -> None:
        """Close, whatever state the connection is in."""
        try:
            self._native.close()
        except (InterfaceError, OSError, ValueError):
            return  # it was broken, which is why it is closed


def connect(url: str, connection_class: Callable[..., T], answer_timeout_seconds: float) -> T:
    """Return a new connection of one of pg8000's two kinds, with its time-out for answers. Raises what they raise."""
    parts = urlsplit(url)
    connection: Any = connection_class(
        user=unquote(parts.username or "liftlog_backend"),
        database=unquote(parts.path.lstrip("/")) or "liftlog_user_data",
        application_name="liftlog",
        startup_params=SESSION_SETTINGS,
        **_where(parts),
    )
    connection._usock.settimeout(answer_timeout_seconds)  # it still has the few seconds of connecting
    opened: T = connection
    return opened


def _where(parts: SplitResult) -> dict[str, Any]:
    """Return what pg8000 needs to reach the server of a URL, and its password."""
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme == "cloudsql":
        iam = query.get("iam") == "true"
        instance = cloud_sql.instance(query.get("instance", ""), query.get("admin", ""), iam=iam)
        password = None if iam else secret("DATABASE_PASSWORD")  # read anew: it may have been rotated
        return {"sock": instance.open_socket(CONNECT_TIMEOUT_SECONDS), "ssl_context": False, "password": password}
    password = unquote(parts.password or "")
    port = parts.port or 5432
    folder = query.get("host", "")
    if folder.startswith("/"):
        unix_socket = f"{folder}/.s.PGSQL.{port}"
        return {"unix_sock": unix_socket, "timeout": CONNECT_TIMEOUT_SECONDS, "password": password}
    host = parts.hostname or "localhost"
    encryption = _ssl_context(query.get("sslmode", "prefer"), query.get("sslrootcert"))
    return {"sock": _tcp_socket(host, port), "host": host, "ssl_context": encryption, "password": password}


def _tcp_socket(host: str, port: int) -> socket.socket:
    """Return a connected socket. Without TCP_NODELAY a statement of more than 4 KB takes 44 ms instead of 1.5."""
    sock = socket.create_connection((host, port), CONNECT_TIMEOUT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def _ssl_context(sslmode: str, root_certificate: str | None) -> ssl.SSLContext | bool | None:
    """Translate libpq's sslmode: pg8000 takes False for none, None for "if offered", True for unverified TLS."""
    simple = {"disable": False, "allow": None, "prefer": None, "require": True}
    if sslmode in simple:
        return simple[sslmode]
    context = ssl.create_default_context(cafile=root_certificate)
    context.check_hostname = sslmode != "verify-ca"
    return context
