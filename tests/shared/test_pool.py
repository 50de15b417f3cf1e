"""The pool against a real PostgreSQL: what keeps a connection, what is asked again, what never is."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from pg8000.exceptions import DatabaseError

from shared.data.connections import Connection
from shared.data.pool import Database
from shared.errors import DatabaseUnavailable
from tests.databases import transaction
from tests.postgres_proxy import PostgresProxy
from tests.waiting import wait_for


@pytest.fixture
def proxy(database_url):
    proxy = PostgresProxy(database_url)
    yield proxy
    proxy.close()


@pytest.fixture
def pool(proxy):
    """Return a pool of one connection, through the proxy."""
    pool = Database(proxy.url, 1, 0.2)
    yield pool
    pool.close()


def backend(pool):
    return pool.row("SELECT pg_backend_pid()")[0]


def test_a_connection_is_kept_and_a_statement_prepared_once(pool, proxy):
    first = backend(pool)
    proxy.forget()
    assert backend(pool) == first
    assert proxy.round_trips() == 1


def test_an_error_of_the_database_keeps_the_connection(pool):
    first = backend(pool)
    with pytest.raises(DatabaseUnavailable, match="SQLSTATE 22012"):
        pool.row("SELECT 1 / 0")
    assert backend(pool) == first


def test_an_encoding_error_costs_the_connection_and_the_next_statement_answers(pool):
    first = backend(pool)
    with pytest.raises(UnicodeEncodeError):
        pool.row("SELECT CAST(:value AS text)", value="\ud800")
    assert pool.row("SELECT 5") == [5]
    assert backend(pool) != first


def test_waiting_for_a_connection_has_a_deadline(pool, database_url):
    with ThreadPoolExecutor(1) as threads:
        with transaction(database_url, "SELECT pg_advisory_lock(1)"):
            holder = threads.submit(pool.row, "SELECT pg_advisory_xact_lock(1)")
            wait_for(lambda: pool_is_busy(pool))
            with pytest.raises(DatabaseUnavailable, match="connection pool exhausted"):
                pool.row("SELECT 1")
            assert not holder.done()
        holder.result()
    assert pool.row("SELECT 1") == [1]


def test_more_threads_than_connections_share_them(database_url):
    pool = Database(database_url, 3, 10)
    with ThreadPoolExecutor(20) as threads:
        backends = set(threads.map(lambda _: backend(pool), range(200)))
    pool.close()
    assert len(backends) <= 3


def test_a_connection_that_ended_while_idle_is_replaced_before_anything_is_sent(pool, proxy):
    """So even a statement that must not be repeated survives a restart of the database."""
    first = backend(pool)
    proxy.cut()
    wait_for(lambda: not pool._idle[0].is_silent())
    assert backend(pool) != first


def test_a_statement_whose_connection_broke_is_repeated_only_if_that_is_harmless(pool, proxy, database_url, db):
    waits = "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    statement = "SELECT 7 FROM (SELECT pg_advisory_xact_lock(2)) AS locked"

    def cut_while_it_waits(running):
        with transaction(database_url, "SELECT pg_advisory_lock(2)"):
            asked = running.submit(pool.row, statement, repeatable=repeatable)
            wait_for(lambda: db.rows(waits))
            proxy.cut()
        return asked

    backend(pool)
    for repeatable in (True, False):
        with ThreadPoolExecutor(1) as running:
            answer = cut_while_it_waits(running)
            if repeatable:
                assert answer.result() == [7]
            else:
                with pytest.raises(DatabaseUnavailable, match="connection lost"):
                    answer.result()
        assert backend(pool)


def pool_is_busy(pool):
    return not pool._free_places and not pool._idle


def test_a_plan_that_a_migration_outdated_is_made_anew(pool):
    pool.rows("CREATE TABLE IF NOT EXISTS replanned (a int)")
    pool.rows("INSERT INTO replanned (a) VALUES (1)")
    statement = "SELECT * FROM replanned"
    assert pool.rows(statement) == [[1]]
    pool.rows("ALTER TABLE replanned ADD COLUMN b int DEFAULT 2")
    assert pool.rows(statement) == [[1, 2]]
    pool.rows("DEALLOCATE ALL")
    assert pool.rows(statement) == [[1, 2]]
    pool.rows("DROP TABLE replanned")


def test_a_deadlock_is_tried_once_more(db):
    """Two statements lock two rows in opposite order: PostgreSQL ends one, and it is run again."""
    db.rows("CREATE TABLE deadlocked (id int PRIMARY KEY, hits int DEFAULT 0)")
    db.rows("INSERT INTO deadlocked (id) VALUES (1), (2)")
    # a volatile function per row keeps the two sessions apart long enough to meet
    statement = """
        WITH a AS (UPDATE deadlocked SET hits = hits + 1 WHERE id = :first RETURNING pg_sleep(0.3)),
             b AS (UPDATE deadlocked SET hits = hits + 1 WHERE id = :second AND EXISTS (SELECT FROM a) RETURNING id)
        SELECT count(*) FROM b
        """
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(db.row, statement, first=first, second=3 - first) for first in (1, 2)]
        assert [run.result() for run in runs] == [[1], [1]]
    assert db.rows("SELECT hits FROM deadlocked ORDER BY id") == [[2], [2]]
    db.rows("DROP TABLE deadlocked")


def test_no_database_is_unavailable():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://u@127.0.0.1:{closed.getsockname()[1]}/d"
    for wrong in (url, "postgresql://u@/d?host=/nowhere"):
        pool = Database(wrong, 1, 0.2)
        for _ in range(2):  # a failure costs no place
            with pytest.raises(DatabaseUnavailable, match="cannot connect"):
                pool.row("SELECT 1")


def test_a_missing_database_or_table_is_unavailable_not_unknown(database_url):
    before, _, query = database_url.partition("?")
    with pytest.raises(DatabaseUnavailable):
        Database(f"{before}_gone?{query}", 1, 1).row("SELECT 1")


def test_every_connection_has_tcp_nodelay_and_limits(proxy):
    connection = Connection(proxy.url)
    assert connection._native._usock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert connection._native._usock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.run("SELECT current_setting('statement_timeout')", {}) == [["15s"]]
    assert connection.run("SELECT current_setting('lock_timeout')", {}) == [["5s"]]
    with pytest.raises(DatabaseError):
        connection.run("SELECT nonsense", {})
    connection.close()
    connection.close()
    assert not connection.is_silent()
