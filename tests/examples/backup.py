"""Good requests to the backup family. A name is the user's id; its key is made behind the server's back."""

import gzip
import os

from shared.backup_keys import digest_of, new_key
from shared.data import backup_keys
from tests.examples.example import Example, Request, Stage


def headers_of(stage: Stage) -> dict[str, str]:
    """What the app sends, with a new key."""
    key = new_key()
    backup_keys.put(stage.call.db, stage.user.id, digest_of(key))
    return {"X-Api-Key": key, "Content-Type": "application/octet-stream"}


def path_of(stage: Stage) -> str:
    return f"/backup?user={stage.user.id}"


def content() -> bytes:
    """A gzip file like no other."""
    return gzip.compress(os.urandom(3000))


def listed(stage: Stage) -> Request:
    headers = headers_of(stage)
    stage.prepare("POST", path_of(stage), content(), headers=headers)
    return Request(path_of(stage), headers=headers)


def fetched(stage: Stage) -> Request:
    headers = headers_of(stage)
    backup = stage.prepare("POST", path_of(stage), content(), headers=headers)
    return Request(f"/backup/{backup['id']}", headers=headers)


GOOD = {
    # of the key, when the head has come and once more at the end; then the backup
    "POST /backup": Example(lambda stage: Request(path_of(stage), content(), headers_of(stage)), statements=3),
    "GET /backup": Example(listed),
    "GET /backup/{backup_id}": Example(fetched),
}
