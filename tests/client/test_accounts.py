"""Phones that move to another server, with the commands of docs/own-data.md and of make: all that they have goes on."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from client.phone import Backend, Friend, Phone, open_link
from tests.client.test_demo import serving
from tests.servers import Servers
from tests.waiting import WAIT_SECONDS

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = (ROOT / "docs" / "own-data.md").read_text()
PLAN: dict[str, Any] = {"name": "5x5", "sessions": ["Leg day"]}
SQUATS, PRESSES = ({"id": str(uuid4()), "name": name} for name in ("Leg day", "Push day"))


@pytest.fixture(scope="module")
def new(new_database) -> Iterator[str]:
    """Return the URL of another server, with a database of its own."""
    with Servers(new_database(migrated=True)) as servers:
        yield servers["gateway"].url


@pytest.fixture
def old(servers) -> str:
    url: str = servers["gateway"].url
    return url


def make(command, base_url, phone, file):
    """Run what `make export-account` and `make import-account` do."""
    return subprocess.run(
        [sys.executable, "-m", "client.accounts", command, phone.user_id, str(file)],
        env=os.environ | {"BASE_URL": base_url},
        input=f"{phone._password}\n",
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def move_with_make(old, new, phone, folder):
    for command, base_url in (("export-account", old), ("import-account", new)):
        ran = make(command, base_url, phone, folder / "account.json")
        assert ran.returncode == 0, ran.stderr
    assert stat.S_IMODE((folder / "account.json").stat().st_mode) == 0o600


def move_with_curl(old, new, phone, folder):
    """Type what the document says."""
    block = re.search(r"```bash\n(.*?)```", DOCUMENT, re.DOTALL)
    assert block
    typed = {"OLD": old, "NEW": new, "ID": phone.user_id, "PASSWORD": phone._password}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block[1]],
        env=os.environ | typed,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["id"] == phone.user_id


@pytest.mark.parametrize("move", [move_with_make, move_with_curl])
def test_phones_that_move_go_on_with_what_they_have(old, new, tmp_path, move):
    ada, ben = Phone(Backend(old), "Ada"), Phone(Backend(old), "Ben")
    for phone in (ada, ben):
        phone.create_account()
        phone.put_profile(PLAN)
    secret = ada.put_follow_secret()
    ada.publish(SQUATS)
    friend = Friend(ada.user_id, ada.keys.public_key, ada.aes_key, secret)
    newest = ben.get_feed(friend).newest
    ada.send(ben.user_id, "First", {})
    ada.send(ben.user_id, "Second", {})
    link = ada.share(SQUATS)
    for phone in (ada, ben):
        move(old, new, phone, tmp_path)
        phone.delete_account()  # from the old server, which they no longer need
        phone._server = Backend(new)
        phone._has_account = True
    assert ben.get_user(ada.lookup)["id"] == ada.user_id
    assert ben.get_profile(friend) == ("Ada", PLAN)
    assert ben.get_feed(friend).workouts == [SQUATS]
    assert ben.get_feed(friend, newest).workouts in ([], [SQUATS])  # apps drop repeats
    ada.publish(PRESSES)
    assert ben.get_feed(friend, newest).workouts[-1] == PRESSES
    assert [message.kind for message in ben.take_messages()] == ["First", "Second"]
    assert open_link(Backend(new), link) == SQUATS
    ada.delete_follow_secret(secret)
    assert ben.get_feed(friend).invalid_secrets == [secret]
    for phone in (ada, ben):
        phone.delete_account()


def test_a_document_alone_opens_nothing(old, tmp_path):
    ada = Phone(Backend(old), "Ada")
    ada.create_account()
    ada.put_profile(PLAN)
    assert make("export-account", old, ada, tmp_path / "account.json").returncode == 0
    document = (tmp_path / "account.json").read_bytes()
    for secret in (ada._password.encode(), ada._password.replace("-", "").encode(), PLAN["name"].encode(), b"Ada"):
        assert secret not in document
    ada.delete_account()


def test_a_refusal_says_what_is_wrong_and_leaves_the_file(old, tmp_path):
    ada, file = Phone(Backend(old), "Ada"), tmp_path / "account.json"
    ada.create_account()
    assert make("export-account", old, ada, file).returncode == 0
    before = file.read_bytes()
    taken = make("import-account", old, ada, file)
    assert (taken.returncode, taken.stderr) == (
        1, "make import-account: 409: That is somebody's here already. account.id is taken\n",
    )  # fmt: skip
    ada._password = str(uuid4())
    wrong = make("export-account", old, ada, file)
    assert (wrong.returncode, wrong.stderr) == (1, "make export-account: 401: The credentials are wrong.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["account.json"]
    assert file.read_bytes() == before


def test_a_document_that_is_cut_on_its_way_replaces_nothing(tmp_path):
    class Cut(bytes):
        def __len__(self) -> int:
            return super().__len__() + 1  # what the server says

    file = tmp_path / "account.json"
    file.write_text("the one before")
    with serving(lambda _method, _path, _body: (200, Cut(b'{"format":'))) as url:
        phone = Phone(Backend(url), "Ada")
        phone.user_id, phone._password = str(uuid4()), str(uuid4())
        ran = make("export-account", url, phone, file)
    assert ran.returncode == 1
    assert "cut" in ran.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the one before"]


def test_a_server_that_is_not_there_is_told(tmp_path):
    phone = Phone(Backend("http://127.0.0.1:9"), "Ada")
    phone.user_id, phone._password = str(uuid4()), str(uuid4())
    ran = make("export-account", "http://127.0.0.1:9", phone, tmp_path / "account.json")
    assert (ran.returncode, ran.stderr) == (1, "make export-account: no server answers on http://127.0.0.1:9\n")
