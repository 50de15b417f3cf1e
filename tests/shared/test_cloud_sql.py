"""Cloud SQL: the connector's way to an instance, up to a real PostgreSQL behind TLS."""

import socket
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

import migrations
from shared.data import cloud_sql, connections
from shared.data.connections import Connection
from shared.data.pool import Database
from shared.errors import DatabaseUnavailable
from tests.fake_cloud_sql import NAME, FakeCloudSql
from tests.servers import Caller, Servers

pytestmark = pytest.mark.slow


@pytest.fixture
def instance(database_url, tmp_path, monkeypatch):
    if "host=" not in database_url:
        pytest.skip("the test database is reached over TCP; the stand-in forwards to a socket's folder")
    with FakeCloudSql(database_url, tmp_path) as running:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(running.credentials()))
        monkeypatch.setenv("DATABASE_PASSWORD", "a password")
        yield running
        cloud_sql.instance.cache_clear()


@pytest.fixture
def url(instance, database_url):
    return url_of(instance, database_url)


def url_of(instance, database_url, *, iam=False):
    query = {"instance": NAME, "admin": instance.url, "iam": str(iam).lower()}
    return f"cloudsql://liftlog_backend@{urlsplit(database_url).path}?{urlencode(query)}"


def paths(instance):
    return [path.rpartition("/")[2].partition("?")[0] for _, path, _ in instance.requests]


def test_statements_run_through_it_in_one_flight_and_certificates_are_fetched_once(instance, url):
    db = Database(url, 4, 5)
    backend = db.rows("SELECT pg_backend_pid()")[0][0]
    for _ in range(20):
        assert db.rows("SELECT pg_backend_pid(), :text", text="x" * 50_000) == [[backend, "x" * 50_000]]
    assert db.rows("SHOW statement_timeout") == [["15s"]]
    assert db.rows("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()") == [["liftlog"]]
    db.close()
    db.rows("SELECT 1")
    db.close()
    assert sorted(paths(instance)) == ["an-instance:generateEphemeralCert", "connectSettings"]  # both at once


def test_the_socket_does_not_wait_for_more_to_send(url):
    connection = Connection(url)
    assert connection._native._usock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    connection.close()


def test_with_iam_the_certificate_says_who_it_is(instance, database_url):
    db = Database(url_of(instance, database_url, iam=True), 1, 5)
    assert db.rows("SELECT 1") == [[1]]
    db.close()
    (certificate,) = [body for _, _, body in instance.requests if body]
    assert certificate["access_token"] == "a token"


def test_without_iam_the_api_gets_no_login_token(instance, url):
    db = Database(url, 1, 5)
    db.rows("SELECT 1")
    db.close()
    (certificate,) = [body for _, _, body in instance.requests if body]
    assert "access_token" not in certificate


def test_certificates_that_are_about_to_expire_are_renewed_when_a_connection_is_opened(instance, url):
    instance.lifetime = cloud_sql.RENEW_BEFORE - timedelta(seconds=1)
    for _ in range(2):
        Connection(url).close()
    assert paths(instance).count("an-instance:generateEphemeralCert") == 2


def test_a_cut_connection_is_replaced(instance, url):
    db = Database(url, 2, 5)
    db.rows("SELECT 1", repeatable=True)
    instance.cut()
    assert db.rows("SELECT 1", repeatable=True) == [[1]]
    db.close()


def test_an_instance_that_was_certified_anew_is_asked_for_its_authority(instance, url):
    Connection(url).close()
    instance.renew_authority()
    with pytest.raises(DatabaseUnavailable):
        Connection(url)
    Connection(url).close()
    assert paths(instance).count("connectSettings") == 2


@pytest.mark.parametrize("status", [403, 404])
def test_an_admin_api_that_refuses_is_unavailable(instance, url, status):
    instance.status = status
    with pytest.raises(DatabaseUnavailable, match="Admin API"):
        Connection(url)
    instance.status = 200
    Connection(url).close()


def test_a_silent_instance_is_given_up_in_time(instance, url, monkeypatch):
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_SECONDS", 0.3)
    instance.is_silent = True
    with pytest.raises(DatabaseUnavailable):
        Connection(url)


def test_migrations_go_through_it(instance, new_database, tmp_path):
    own = new_database()
    assert migrations.upgrade(url_of(instance, own)) == (None, migrations.head())


def test_a_service_finds_its_instance_by_name(instance, database_url):
    cloud: dict[str, Any] = {
        "INSTANCE_CONNECTION_NAME": NAME, "CLOUD_SQL_ADMIN_ENDPOINT": instance.url,
        "DB_NAME": urlsplit(database_url).path.strip("/"), "DB_IAM_AUTH": "true",
    }  # fmt: skip
    with Servers("", **cloud) as servers:
        call = Caller(servers, alone=False)
        assert call("POST", "/user/create", {}).status_code == 200
        assert call("GET", "/health/ready").status_code == 200


@pytest.mark.parametrize("name", ["an-instance", "a:b"])
def test_an_instance_name_of_another_form_is_a_clear_error(name):
    with Servers("", INSTANCE_CONNECTION_NAME=name) as servers:
        answer = Caller(servers, alone=False)("GET", "/health/ready")
        assert answer.json["type"] == "urn:liftlog:problem:not-configured"
