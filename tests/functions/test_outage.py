"""404 and 401 only when the database said so: whatever else goes wrong is a 503."""

from typing import Any
from uuid import uuid4

import pytest

import migrations
from local.postgres import EmbeddedPostgres
from tests.examples.own_data import document
from tests.functions.test_own_data import bring
from tests.postgres_proxy import PostgresProxy
from tests.servers import Caller, Servers
from tests.users import User

pytestmark = pytest.mark.slow
UNKNOWN = User(str(uuid4()), "nobody", str(uuid4()))


def requests_of(user):
    """One request to every route that asks the database."""
    return [
        ("POST", "/user/create", {}),
        ("GET", f"/user/{user.id}", None),
        ("GET", f"/user/{user.lookup}", None),
        ("PUT", "/user", user.profile()),
        ("POST", "/users", {"ids": [user.id]}),
        ("PUT", "/event", user.event()),
        ("POST", "/events", {"users": [user.asked("s")]}),
        ("PUT", "/follow-secret", user.secret("s")),
        ("POST", "/follow-secret/delete", user.secret("s")),
        ("PUT", "/inbox", user.message()),
        ("POST", "/inbox", user.credentials()),
        ("POST", "/shareditem", user.shared_item()),
        ("GET", "/shareditem/nothing", None),
        ("POST", "/backup?user=nothing", b"a file"),
        ("GET", "/backup?user=nothing", None),
        ("GET", f"/backup/{user.id}?user=nothing", None),
        ("POST", "/user/export", user.account()),
        ("GET", "/health/ready", None),
        ("POST", "/user/delete", user.account()),
    ]


def status_of(path):
    """What comes of such a request while the database is there."""
    if path.startswith("/backup"):
        return 401
    return 404 if "nothing" in path else 200


def assert_unavailable(call, user):
    for method, path, body in requests_of(user):
        answer = call(method, path, body)
        assert answer.status_code == 503, (method, path, answer.content)
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert call("GET", "/health").status_code == 200


def create(call):
    created = call("POST", "/user/create", {}).json
    return User(created["id"], created["lookup"], created["password"])


@pytest.fixture
def postgres(tmp_path_factory):
    folder = tmp_path_factory.mktemp("postgres")
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o711)
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    yield postgres
    postgres.stop()


def test_a_restart_of_the_database_is_a_503_and_then_all_is_as_before(postgres):
    migrations.upgrade(postgres.url)
    with Servers(postgres.url, DB_POOL_TIMEOUT_SECONDS="1") as servers:
        call = Caller(servers, alone=False)
        user = create(call)
        assert call("PUT", "/inbox", user.message()).status_code == 200
        postgres.stop()
        assert_unavailable(call, user)
        assert b"not ready" in call("GET", "/").content
        postgres.start()
        assert len(call("POST", "/inbox", user.credentials()).json["inboxMessages"]) == 1
        for method, path, body in requests_of(user):
            assert call(method, path, body).status_code == status_of(path), path


def test_an_empty_database_is_a_503(new_database):
    with Servers(new_database()) as servers:
        call = Caller(servers, alone=False)
        assert_unavailable(call, UNKNOWN)
        page = call("GET", "/")
        assert page.status_code == 503
        assert b"the database does not answer" in page.content


@pytest.mark.parametrize("url", ["", "postgresql://nobody@/nothing?host=/nowhere"], ids=["not set", "leads nowhere"])
def test_a_database_url_that_is_of_no_use_is_a_503(url):
    with Servers(url) as servers:
        assert_unavailable(Caller(servers, alone=False), UNKNOWN)


@pytest.mark.parametrize("setting", ["LOG_LEVEL", "METRICS_FLUSH_SECONDS"])
def test_a_setting_of_what_is_observed_that_is_of_no_use_is_a_503(database_url, setting, capfd):
    nonsense: dict[str, Any] = {setting: "nonsense"}
    with Servers(database_url, **nonsense) as servers:
        answer = Caller(servers, alone=False)("POST", "/user/create", {})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json["type"] == "urn:liftlog:problem:not-configured"
    assert setting in "".join(capfd.readouterr())


def test_who_brings_an_account_while_there_is_no_database_is_told_to_come_again():
    with Servers("postgresql://nobody@/nothing?host=/nowhere") as servers:
        answer = bring(Caller(servers, alone=False), document(UNKNOWN.id), UNKNOWN)
        assert (answer.status_code, answer.json["type"]) == (503, "urn:liftlog:problem:database-unavailable")
        assert int(answer.headers["Retry-After"]) > 0


def test_cut_connections_are_replaced_before_anything_is_sent(database_url):
    """Also for what is never repeated: the inbox's take, a new account."""
    proxy = PostgresProxy(database_url)
    with Servers(proxy.url) as servers:
        call = Caller(servers, alone=False)
        for _ in range(3):
            user = create(call)
            assert call("PUT", "/inbox", user.message()).status_code == 200
            proxy.cut()
            assert len(call("POST", "/inbox", user.credentials()).json["inboxMessages"]) == 1
            proxy.cut()
    proxy.close()


NEVER_REPEATED = {"POST /user/create", "POST /user/delete", "PUT /inbox", "POST /inbox", "POST /shareditem"}


def test_a_lost_answer_is_asked_for_again_only_where_that_is_harmless(database_url):
    """The statement has happened, and nobody knows: a second take of an inbox would be wrong."""
    proxy = PostgresProxy(database_url)
    with Servers(proxy.url, DB_POOL_SIZE="1") as servers:
        call = Caller(servers, alone=False)
        for number, (method, path, _body) in enumerate(requests_of(UNKNOWN)):
            first, second = requests_of(create(call))[number], requests_of(create(call))[number]
            usual = call(*first).status_code  # its statement is prepared then
            proxy.lose_next_answer()
            expected = 503 if f"{method} {path}" in NEVER_REPEATED else usual
            assert call(*second).status_code == expected, (method, path)
    proxy.close()


def test_a_message_whose_sender_got_no_answer_is_stored_once(database_url):
    proxy = PostgresProxy(database_url)
    with Servers(proxy.url, DB_POOL_SIZE="1") as servers:
        call = Caller(servers, alone=False)
        user, prepared = create(call), create(call)
        assert call("PUT", "/inbox", prepared.message()).status_code == 200
        proxy.lose_next_answer()
        assert call("PUT", "/inbox", user.message()).status_code == 503
        assert len(call("POST", "/inbox", user.credentials()).json["inboxMessages"]) == 1
    proxy.close()


def test_sigterm_ends_a_server_soon_and_politely(database_url):
    with Servers(database_url) as servers:
        server = servers["gateway"]
        Caller(servers, alone=False)("GET", "/health")
        assert server.stop() == 0
