"""Phones whose users have set "Automatic remote backup" up."""

import gzip
import os
from uuid import uuid4

from shared.backup_keys import digest_of, new_key
from shared.data import backup_keys

OCTETS = {"Content-Type": "application/octet-stream"}


def content(size=3000):
    return gzip.compress(os.urandom(size))


class Phone:
    """A phone whose user has typed a URL and a key."""

    def __init__(self, call, name=None):
        self.call = call
        self.name = name or f"ann-{uuid4()}"
        self.key = new_key()
        backup_keys.put(call.db, self.name, digest_of(self.key))
        self.path = f"/backup?user={self.name}"

    def headers(self, **others):
        return OCTETS | {"X-Api-Key": self.key} | others

    def send(self, body, **headers):
        return self.call("POST", self.path, body, headers=self.headers(**headers))

    def stored(self, body):
        answer = self.send(body)
        assert answer.status_code == 200, answer.content
        return answer.json

    def listed(self):
        return self.call("GET", self.path, headers=self.headers()).json["backups"]

    def get(self, backup, method="GET", **headers):
        return self.call(method, f"/backup/{backup['id']}", headers=self.headers(**headers))
