"""The pool: few connections, a deadline for waiting, and the rules by which one is kept, replaced, or asked again.

Only an error that the database itself reports keeps a connection. After anything else (a socket time-out, an encoding
error, which leaves pg8000's next statement answering "no rows") it is closed.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError

from shared.data.connections import Connection, Row
from shared.errors import DatabaseUnavailable
from shared.metrics import registry

PLAN_CHANGED = frozenset({"0A000", "26000"})  # prepared before a migration, or by nobody
DEADLOCK = "40P01"
CONNECTION_ENDED = ("08", "57P")  # SQLSTATE classes after which the server closes the connection


class Database:
    """A bounded pool of connections to one database. Threads share it; a process makes one, after it has forked."""

    def __init__(self, url: str, pool_size: int, pool_timeout_seconds: float) -> None:
        self._url = url
        self._pool_timeout_seconds = pool_timeout_seconds
        self._changed = threading.Condition()
        self._idle: list[Connection] = []
        self._size = self._free_places = pool_size

    def row(self, statement: str, /, *, repeatable: bool = False, **parameters: Any) -> Row | None:
        """Run one statement of at most one row and return it, or None. See `rows`."""
        rows = self.rows(statement, repeatable=repeatable, **parameters)
        return rows[0] if rows else None

    def rows(self, statement: str, /, *, repeatable: bool = False, **parameters: Any) -> list[Row]:
        """Run one statement in its own transaction and return its rows.

        A statement that fell into a deadlock, or whose plan a migration has outdated, did not happen and is run once
        more. One whose connection broke may have happened: it is run again only if it is `repeatable`.
        Raises DatabaseUnavailable for everything that is no answer.
        """
        try:
            return self._attempt(statement, parameters, repeatable=repeatable)
        except DatabaseError as error:
            if sqlstate(error) not in PLAN_CHANGED | {DEADLOCK}:
                raise _unavailable(error) from error
        except _Broken as error:
            if not repeatable:
                raise DatabaseUnavailable("connection lost") from error
        try:
            return self._attempt(statement, parameters, repeatable=repeatable)
        except DatabaseError as error:
            raise _unavailable(error) from error
        except _Broken as error:
            raise DatabaseUnavailable("connection lost twice") from error

    def count(self, statement: str, /, **parameters: Any) -> int:
        """Run a statement that only reads, and whose one row is one number. See `rows`."""
        ((number,),) = self.rows(statement, repeatable=True, **parameters)
        return int(number)

    @contextmanager
    def transaction(self, begin: str = "BEGIN") -> Iterator["Transaction"]:
        """Run several statements in one transaction, which `begin` begins.

        Whatever the block raises undoes all of them, and costs the connection. Raises DatabaseUnavailable for
        everything that is no answer; if that was to the COMMIT, nobody knows whether they happened.
        """
        connection = self._take()
        keep = False
        try:
            transaction = Transaction(connection)
            transaction.rows(begin)
            yield transaction
            transaction.rows("COMMIT")
            keep = True
        finally:
            self._give_back(connection if keep else None)
            if not keep:
                connection.close()

    @property
    def in_use(self) -> int:
        """How many connections run a statement now."""
        with self._changed:
            return self._size - self._free_places - len(self._idle)

    def connection_apart(self) -> Connection:
        """Open a connection of its own, outside the pool, for who listens. Raises DatabaseUnavailable."""
        return Connection(self._url)

    def close(self) -> None:
        """Close the idle connections. The pool opens new ones when it is used again."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._free_places += len(idle)
            self._changed.notify_all()
        for connection in idle:
            connection.close()

    def _attempt(self, statement: str, parameters: dict[str, Any], *, repeatable: bool) -> list[Row]:
        """Run on one connection. Raises DatabaseError, _Broken, DatabaseUnavailable; the pool is sound after each."""
        connection = self._take()
        keep = False
        try:
            rows = connection.run(statement, parameters, may_refuse=repeatable)
            keep = True
        except DatabaseError as error:
            code = sqlstate(error)
            keep = not code.startswith(CONNECTION_ENDED)
            if code in PLAN_CHANGED:
                connection.forget_prepared()
            if not keep:
                raise _Broken from error
            raise
        except (InterfaceError, OSError) as error:
            raise _Broken from error
        finally:
            self._give_back(connection if keep else None)
            if not keep:
                connection.close()
        return rows

    def _take(self) -> Connection:
        """Return an idle connection, or a new one where there is room. Raises DatabaseUnavailable at the deadline."""
        deadline = time.monotonic() + self._pool_timeout_seconds
        stale = []
        try:
            with self._changed:
                while True:
                    while self._idle:
                        connection = self._idle.pop()
                        if connection.is_silent():
                            return connection
                        stale.append(connection)
                        self._free_places += 1
                    if self._free_places:
                        self._free_places -= 1
                        break
                    self._wait(deadline)
        finally:
            for connection in stale:
                connection.close()
        try:
            return Connection(self._url)
        except BaseException:
            self._give_back(None)
            raise

    def _wait(self, deadline: float) -> None:
        """Wait for a change. Raises DatabaseUnavailable at the deadline."""
        start = time.monotonic()
        changed = self._changed.wait(deadline - start)
        registry.count("liftlog_database_pool_waits_total")
        registry.count("liftlog_database_pool_wait_seconds_total", time.monotonic() - start)
        if not changed:
            registry.count("liftlog_database_pool_timeouts_total")
            raise DatabaseUnavailable("connection pool exhausted")

    def _give_back(self, connection: Connection | None) -> None:
        """Return a connection, or its place if it is None."""
        with self._changed:
            if connection is None:
                self._free_places += 1
            else:
                self._idle.append(connection)
            self._changed.notify()


class Transaction:
    """A transaction that has begun. Of one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, /, *, each_row: Callable[[Row], None] | None = None, **parameters: Any) -> list[Row]:
        """Run a statement and return its rows, or have `each_row` take them as they come.

        Raises DatabaseUnavailable, and what `each_row` raises; then the transaction is at its end.
        """
        try:
            return self._connection.run(statement, parameters, each_row=each_row)
        except DatabaseError as error:
            raise _unavailable(error) from error
        except (InterfaceError, OSError) as error:
            raise DatabaseUnavailable("connection lost") from error


class _Broken(Exception):
    """The connection broke before the answer was whole; whether the statement happened is not known."""


def sqlstate(error: DatabaseError) -> str:
    """Return the five characters by which PostgreSQL names an error (PostgreSQL manual, appendix A)."""
    fields = error.args[0] if error.args else None
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""


def _unavailable(error: DatabaseError) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"SQLSTATE {sqlstate(error)}")
