"""The page at /admin of a gateway: who gets in, for how long, what its forms do, and what no other page has it do."""

import re
import shutil
import subprocess
import time
from html import unescape
from uuid import uuid4

import pytest
import requests

from local.dumper import Dumper
from local.postgres import BIN
from shared import operator_sessions, wrong_tries
from shared.dump_folder import FAILED, WANTED
from tests.browsers import Browser
from tests.functions.test_ai_chat_browser import page_server
from tests.servers import Caller, Server, Servers
from tests.waiting import WAIT_SECONDS, wait_for

TOKEN = "the operators'"
COOKIE = operator_sessions.NAME
FORM = "application/x-www-form-urlencoded"
SECTIONS = [
    "Accounts", "Storage", "Who stores most", "The planner", "Cleanup", "Quotas that were hit", "Backups of phones",
    "Backups of the database", "Delete an account", "Versions",
]  # fmt: skip


@pytest.fixture(scope="module")
def dumps(tmp_path_factory):
    return tmp_path_factory.mktemp("dumps")


@pytest.fixture(scope="module")
def gateway(new_database, dumps):
    """Return a caller of a gateway with a token, where backups of the database can be asked for."""
    url = new_database(migrated=True)
    with Servers(url, OPERATOR_TOKEN=TOKEN, OPENAI_MODEL="<coach>", DATABASE_DUMP_FOLDER=str(dumps)) as servers:
        yield Caller(servers, alone=False)


@pytest.fixture(scope="module")
def home(new_database):
    """Return the gateway as `make serve` starts it: whoever is on its machine is its operator."""
    with Servers(new_database(migrated=True), ENVIRONMENT="local", LOCAL_OPERATOR_TOKEN=TOKEN) as servers:
        yield Caller(servers, alone=False)


class Visitor:
    """A browser at the page, as far as HTTP goes."""

    def __init__(self, gateway, **headers):
        self.url = gateway.url("/admin")
        self._own = {"Origin": gateway.url("/")[:-1]}
        self.session = requests.Session()
        self.session.headers.update(headers)

    def look(self, query=""):
        return self.session.get(self.url + query, timeout=WAIT_SECONDS)

    def send(self, action, *, origin=True, follow=True, **fields):
        return self.session.post(
            self.url, data={"do": action} | fields, headers=self._own if origin else {}, allow_redirects=follow,
            timeout=WAIT_SECONDS,
        )  # fmt: skip

    def log_in(self, token=TOKEN):
        return self.send("log-in", token=token)


@pytest.fixture
def visitor(gateway):
    return Visitor(gateway)


@pytest.fixture
def operator(visitor):
    assert visitor.log_in().status_code == 200
    return visitor


def new_account(gateway):
    return gateway("POST", "/user/create", {}).json["id"]


def is_there(gateway, account):
    return gateway("GET", f"/user/{account}").status_code == 200


def is_login(answer):
    return 'value="log-in"' in answer.text and "Storage" not in answer.text


def test_the_token_opens_it(visitor):
    assert is_login(visitor.look())
    answer = visitor.log_in()
    assert answer.history[0].status_code == 303
    assert re.findall(r"<h2>(.*?)</h2>", answer.text) == SECTIONS
    assert "&lt;coach&gt; at api.openai.com" in answer.text
    assert "<script" not in answer.text


def test_the_cookie_is_for_this_service_alone_and_is_not_the_token(visitor):
    set_cookie = visitor.send("log-in", token=TOKEN, follow=False).headers["Set-Cookie"]
    name, value = set_cookie.partition(";")[0].split("=")
    assert name == COOKIE
    assert TOKEN not in value
    attributes = set_cookie.split("; ")[1:]
    assert {"HttpOnly", "Path=/", "SameSite=Strict", f"Max-Age={12 * 3600}"} <= set(attributes)
    assert "Secure" not in attributes


def test_behind_tls_the_cookie_never_leaves_it(gateway):
    visitor = Visitor(gateway, **{"X-Forwarded-Proto": "https"})
    set_cookie = visitor.send("log-in", token=TOKEN, follow=False).headers["Set-Cookie"]
    assert set_cookie.startswith(f"__Host-{COOKIE}=")
    assert "Secure" in set_cookie.split("; ")
    visitor.session.headers["Cookie"] = set_cookie.partition(";")[0]
    assert not is_login(visitor.look())
    visitor.session.headers["Cookie"] = set_cookie.partition(";")[0].removeprefix("__Host-")
    assert is_login(visitor.look())


def session(token=TOKEN, seconds=0.0):
    """Return what a cookie holds that was given so many seconds ago."""
    return operator_sessions.begin(token, time.time() - seconds).value


@pytest.mark.parametrize(
    "cookie",
    [
        None, "", ".", "x", TOKEN, f"9999999999.{'0' * 64}", f"9999999999.{session().partition('.')[2]}",
        f"{session()}0", session("another token"), session(""), session(seconds=12 * 3600 + 1), "ÿ.ÿ",
    ],
    ids=[
        "none", "empty", "dot", "garbage", "the token", "forged", "a later end", "longer", "another token's",
        "of no token", "ended", "no ASCII",
    ],
)  # fmt: skip
def test_no_other_cookie_opens_it(gateway, cookie):
    account = new_account(gateway)
    visitor = Visitor(gateway)
    if cookie is not None:
        visitor.session.headers["Cookie"] = f"{COOKIE}={cookie}".encode()
    assert is_login(visitor.look())
    refused = visitor.send("delete-account", account=account, again=account)
    assert refused.status_code == 403
    assert is_login(refused)
    assert gateway("GET", "/metrics", headers=dict(visitor.session.headers)).status_code == 401
    assert is_there(gateway, account)


def test_a_session_lasts_and_opens_the_other_private_routes(gateway):
    headers = {"Cookie": f"{COOKIE}={session(seconds=12 * 3600 - 60)}"}
    for path in ("/metrics/dashboard", "/metrics/series", "/admin/overview"):
        assert gateway("GET", path, headers=headers).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", TOKEN.upper(), f"{TOKEN}x"])
def test_a_wrong_token_opens_nothing(visitor, token):
    answer = visitor.log_in(token)
    assert answer.status_code == 403
    assert is_login(answer)
    assert "Set-Cookie" not in answer.headers


def test_a_page_with_forms_tells_browsers_to_say_where_they_are(operator):
    """Without that they would say `Origin: null`; over TLS and on this machine Sec-Fetch-Site counts."""
    assert operator.look().headers["Referrer-Policy"] == "same-origin"
    assert "form-action 'self'" in operator.look().headers["Content-Security-Policy"]
    assert "script-src 'none'" in operator.look().headers["Content-Security-Policy"]


def test_logging_out_ends_it(operator):
    assert 'value="log-out"' in operator.look().text
    assert is_login(operator.send("log-out"))
    assert is_login(operator.look())


def test_guessing_has_to_wait(new_database):
    """The address is what a proxy that is trusted says; others are not held up, nor who is in already."""
    url = new_database(migrated=True)
    with Servers(url, OPERATOR_TOKEN=TOKEN, TRUSTED_PROXIES="127.0.0.0/8") as servers:
        gateway = Caller(servers, alone=False)
        operator = Visitor(gateway, **{"X-Forwarded-For": "192.0.2.1"})
        operator.log_in()
        guesser = Visitor(gateway, **{"X-Forwarded-For": "192.0.2.1"})
        for number in range(wrong_tries.MOST_OF_ADDRESS):
            assert guesser.log_in(f"guess {number}").status_code == 403
        assert guesser.log_in(TOKEN).status_code == 429
        bearer = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.1"}
        answer = gateway("GET", "/metrics", headers=bearer)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
        assert not is_login(operator.look())
        assert Visitor(gateway, **{"X-Forwarded-For": "192.0.2.2"}).log_in().status_code == 200


FOREIGN = {
    "a page elsewhere": {"Origin": "https://evil.example"},
    "a page on another port": {"Origin": "http://127.0.0.1:3000"},
    "a file": {"Origin": "null"},
    "a page of the same site": {"Sec-Fetch-Site": "same-site"},
    "a page of another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"},
}


@pytest.mark.parametrize("added", FOREIGN)
def test_a_form_of_another_page_does_nothing(gateway, operator, added):
    account = new_account(gateway)
    operator.session.headers.update(FOREIGN[added])
    refused = operator.send("delete-account", origin=False, account=account, again=account)
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:liftlog:problem:foreign-page"
    assert is_there(gateway, account)


def test_a_session_alone_changes_nothing_unless_the_browser_says_who_sends_it(gateway, operator):
    account = new_account(gateway)
    assert operator.send("delete-account", origin=False, account=account, again=account).status_code == 403
    cookie = {"Cookie": f"{COOKIE}={session()}"}
    body = {"account": account, "again": account}
    assert gateway("POST", "/admin/delete-account", body, headers=cookie).status_code == 401
    assert is_there(gateway, account)
    own = {"Sec-Fetch-Site": "same-origin"}
    assert gateway("POST", "/admin/delete-account", body, headers=cookie | own).status_code == 200


def test_an_account_is_deleted_once_it_is_typed_twice(gateway, operator):
    account, other = new_account(gateway), new_account(gateway)
    refused = operator.send("delete-account", account=account, again=other)
    assert refused.status_code == 400
    assert "again must be the same as account" in refused.text
    assert operator.send("delete-account", account=account).status_code == 400
    assert is_there(gateway, account)
    done = operator.send("delete-account", account=account, again=account)
    assert done.history[0].status_code == 303
    assert account not in done.history[0].headers["Location"]
    assert "The account is gone" in done.text
    assert not is_there(gateway, account)
    assert is_there(gateway, other)
    assert operator.send("delete-account", account=account, again=account).status_code == 404


def test_a_cleanup_is_counted_and_then_done(gateway, operator):
    gateway.db.rows("""INSERT INTO chats (id, seen_at) VALUES (gen_random_uuid(), now() - interval '2 hours')""")
    assert 'value="clean-up"' not in operator.look().text
    counted = operator.send("count-expired")
    assert "would remove 1 chats" in counted.text
    assert gateway.db.count("SELECT count(*) FROM chats") == 1
    assert 'value="clean-up"' in counted.text
    cleaned = operator.send("clean-up")
    assert cleaned.history[0].status_code == 303
    assert ">1 chats<" in cleaned.text
    assert gateway.db.count("SELECT count(*) FROM chats") == 0


def test_a_key_is_shown_once(gateway, operator):
    name = f"ann-{uuid4()}"
    made = operator.send("make-key", user=name)
    key = re.findall(r"<code>([\w-]{43})</code>", made.text)
    assert len(key) == 1
    assert made.headers["Cache-Control"] == "no-store"
    assert gateway("GET", f"/backup?user={name}", headers={"X-Api-Key": key[0]}).status_code == 200
    later = operator.look()
    assert name in later.text
    assert key[0] not in later.text
    refused = operator.send("make-key", user="<a b>")
    assert refused.status_code == 400
    assert "user must be like ann" in refused.text


def until(dumper, has_happened):
    """Have a dumper work until something has happened."""

    def work_and_look():
        dumper.work()
        return has_happened()

    wait_for(work_and_look)


def written(operator, dumper):
    """Have a backup that was asked for written, and return the page."""
    until(dumper, lambda: "is being written" not in operator.look().text)
    return operator.look().text


def test_the_database_is_backed_up_by_who_may_run_programs(gateway, operator, dumps):
    dumper = Dumper(dumps, gateway.database_url)
    asked = operator.send("dump")
    assert asked.history[0].status_code == 303
    assert "One is being written" in asked.text
    assert 'value="dump"' not in asked.text
    (name,) = set(re.findall(r"<code>(liftlog-[\dTZ]+\.dump)</code>", written(operator, dumper)))
    listed = subprocess.run([BIN / "pg_restore", "--list", dumps / name], capture_output=True, text=True, check=True)
    assert "TABLE DATA public users" in listed.stdout


def test_a_backup_that_fails_says_why_until_one_is_written(gateway, operator, dumps):
    operator.send("dump")
    said = written(operator, Dumper(dumps, gateway.database_url + "_that_is_not_there"))
    assert "The last one was not written: " in said
    assert "connection to server" in said
    operator.send("dump")
    assert "The last one was not written: " not in written(operator, Dumper(dumps, gateway.database_url))


def test_whoever_writes_backups_outlives_a_folder_that_is_gone(tmp_path, capfd):
    folder = tmp_path / "dumps"
    dumper = Dumper(folder, "postgresql://nobody@127.0.0.1:9/x")
    (folder / WANTED).touch()
    dumper.work()
    shutil.rmtree(folder)
    folder.touch()
    until(dumper, lambda: "backups of the database: Not a directory" in capfd.readouterr().err)
    folder.unlink()
    folder.mkdir()
    (folder / WANTED).touch()
    until(dumper, (folder / FAILED).exists)


def test_where_nobody_writes_backups_the_page_says_who_does(home):
    operator = Visitor(home)
    assert "scripts/backup.sh" in operator.look().text
    assert 'value="dump"' not in operator.look().text
    assert operator.send("dump").status_code == 403


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("do=nothing", FORM), ("", FORM),
        ('{"do": "clean-up"}', "application/json"), ("do=clean-up", "text/plain"),
        (b"do=\xff\xfe", FORM), ("&".join(["a=b"] * 20), FORM),
        ("x" * 10_000, FORM),
    ],
)  # fmt: skip
def test_what_is_no_form_of_the_page_is_refused(gateway, operator, body, content_type):
    headers = {"Content-Type": content_type, "Sec-Fetch-Site": "same-origin"}
    answer = operator.session.post(operator.url, data=body, headers=headers, timeout=WAIT_SECONDS)
    assert answer.status_code in {400, 413}


def test_where_nobody_set_a_token_there_is_no_way_in(database_url):
    with Servers(database_url) as servers:
        visitor = Visitor(Caller(servers, alone=False))
        assert is_login(visitor.look())
        assert "OPERATOR_TOKEN is to be set" in visitor.look().text
        assert visitor.log_in("").status_code == 403
        assert visitor.log_in("anything").status_code == 403
        visitor.session.headers["Cookie"] = f"{COOKIE}={session('')}"
        assert is_login(visitor.look())
        assert is_login(visitor.send("count-expired"))


def test_behind_iam_whoever_arrives_is_in_and_told_that_the_database_is_away():
    server = Server("gateway", DATABASE_URL="postgresql://x@127.0.0.1:9/x", OPERATOR_IAM="true")
    try:
        answer = requests.get(f"{server.url}/admin", timeout=WAIT_SECONDS)
    finally:
        server.stop()
    assert answer.status_code == 503
    assert "cannot reach its data" in answer.text
    assert not is_login(answer)


# ---- in a real browser


@pytest.fixture
def browser(tmp_path):
    with Browser(tmp_path) as browser:
        yield browser


SUBMIT = "document.querySelector('[value={}]').click()"


@pytest.mark.slow
def test_a_person_logs_in_deletes_an_account_and_logs_out(gateway, browser):
    account = new_account(gateway)
    browser.resize(360, 740)
    browser.open(gateway.url("/admin"))
    browser.run(f'document.querySelector("#token").value = {TOKEN!r}')
    browser.run(SUBMIT.format("log-in"))
    browser.wait_until("document.querySelectorAll('h2').length === 10")
    for scheme in ("light", "dark"):
        browser.color(scheme)
        assert browser.run("document.documentElement.scrollWidth") == 360  # nothing sticks out of a phone
        assert browser.picture().startswith(b"\x89PNG")
    for field in ("account", "again"):
        browser.run(f'document.querySelector("#{field}").value = "{account}"')
    browser.run(SUBMIT.format("delete-account"))
    browser.wait_until("document.querySelector('[role=status]')?.textContent.includes('The account is gone')")
    assert not is_there(gateway, account)
    browser.run("document.querySelector('header a').click()")
    browser.wait_until(
        "document.querySelector('#state')?.textContent.startsWith('last hour')"
    )  # the dashboard may read
    browser.open(gateway.url("/admin"))
    browser.run(SUBMIT.format("log-out"))
    browser.wait_until("document.querySelector('#token')")


FORGED = """<!doctype html><title>forged</title>
<form method="post" action="ACTION"><input name="do" value="delete-account"><input name="account" value="ACCOUNT">
<input name="again" value="ACCOUNT"></form>
<script>document.forms[0].submit()</script>"""


@pytest.mark.slow
def test_a_page_on_another_port_of_this_machine_deletes_nothing(home, tmp_path):
    account = new_account(home)
    forged = FORGED.replace("ACTION", home.url("/admin")).replace("ACCOUNT", account)
    with page_server(forged) as (url, _results), Browser(tmp_path) as browser:
        browser.run(f"location.assign({url!r})")
        browser.wait_until("document.body.textContent.includes('foreign-page')")
    assert is_there(home, account)


def test_the_texts_of_the_page_are_escaped(operator):
    text = operator.look().text
    assert "<coach>" not in text
    assert "<coach>" in unescape(text)
