"""Backups of phones, as the app's "Automatic remote backup" sends them; a browser brings them back.

POST /backup  its name (`user` in the query), the name's key, a gzip file → 200 the backup · 401 · 403 · 413 · 415 · 429
GET /backup  the name (`user` in the query), its key → 200 its backups, the newest first · 401 · 403
GET /backup/{backup_id}  the name's key → 200 the file · 206 a part of it · 304 you have it · 401 · 403 · 404 · 416

The key is X-Api-Key, a bearer token, or the password of Basic, whose user is the name where the query has none.
"""

import hashlib
from contextlib import suppress
from typing import IO
from uuid import uuid4

import flask
import functions_framework
from flask import Request, Response

from functions.backup import downloads, gzip_files, keys, pages
from functions.backup.schemas import Backup, Backups
from shared.backup_keys import PresentedKey
from shared.backup_stores import backup_store, place_of
from shared.data import backups, database
from shared.errors import ProviderUnavailable, QuotaExceeded
from shared.http import Family
from shared.http.formats import parse_uuid
from shared.metrics import registry
from shared.settings.backups import backup_settings

family = Family("backup")


def most_bytes() -> int:
    return backup_settings().most_bytes


@family.route("POST", "/backup", guard=keys.owner, guarded="owner", answer=Backup, stores=True, upload_bytes=most_bytes)
def create_backup(*, owner: str, upload: IO[bytes]) -> backups.Backup:
    settings, store = backup_settings(), backup_store()
    byte_count = gzip_files.check(upload, settings.most_bytes)
    upload.seek(0)
    sha256 = hashlib.file_digest(upload, "sha256").digest()  # type: ignore[arg-type]
    backup_id = uuid4()
    place = place_of(owner, backup_id)
    store.put(place, upload, byte_count)
    try:
        stored = backups.put(database(), backup_id, owner, sha256, byte_count, settings)
    except QuotaExceeded:  # of other errors nobody knows whether the row is there; cleanup finds out
        store.delete(place)
        raise
    if stored.id != backup_id:
        store.put(place_of(owner, stored.id), upload, byte_count)  # should they have been lost
        with suppress(ProviderUnavailable):
            store.delete(place)
    registry.count("liftlog_backups_total", what="new" if stored.id == backup_id else "known")
    registry.count("liftlog_backup_bytes_total", byte_count)
    return stored


@family.route("GET", "/backup", guard=keys.presented, guarded="presented", answer=Backups)
def list_backups(*, presented: PresentedKey) -> dict[str, list[backups.Backup]] | Response:
    found = backups.list_all(database(), presented)
    if pages.is_wanted(flask.request):
        return pages.of(str(presented.name), found)
    return {"backups": found}


@family.route("GET", "/backup/{backup_id}", guard=keys.presented, guarded="presented")
def get_backup(*, presented: PresentedKey, backup_id: str) -> Response:
    backup = backups.get(database(), presented, parse_uuid(backup_id))
    return downloads.answer(flask.request, backup, backup_store())


@functions_framework.http
def backup(request: Request) -> Response:
    return family.handle(request)
