"""Administration: what whoever runs the service sees of it and does. The page at /admin shows it.

GET  /admin/overview        → 200 accounts, storage, backups, planner, cleanups, quotas, versions; ids of nobody
GET  /admin/largest         → 200 the ten accounts that store most, by their ids
POST /admin/delete-account  {account, again}, both its id or its lookup  → 200 it is gone, with all its data · 400 · 404
POST /backup-key            {user}  → 200 the name's new key for backups, in place of any before; its backups stay · 400
"""

from typing import Any
from uuid import UUID

import functions_framework
from flask import Request, Response

from functions.admin import overview
from functions.admin.schemas import BackupKey, CreateBackupKey, DeleteAccount, DeletedAccount
from shared import operators
from shared.backup_keys import digest_of, new_key
from shared.data import backup_keys, database, users
from shared.errors import InvalidRequest
from shared.http import Family
from shared.http.formats import parse_uuid
from shared.metric_writer import writer

family = Family("admin")


@family.route("GET", "/admin/overview", guard=operators.authorize)
def get_overview() -> dict[str, Any]:
    writer().write()  # this instance's own counts, up to now
    return overview.of(database())


@family.route("GET", "/admin/largest", guard=operators.authorize)
def list_largest() -> dict[str, Any]:
    return overview.largest(database())


@family.route("POST", "/admin/delete-account", guard=operators.authorize, body=DeleteAccount, answer=DeletedAccount)
def delete_account(*, account: str, again: str) -> dict[str, UUID]:
    if again != account:
        raise InvalidRequest("Nothing was deleted.", {"again": "must be the same as account"})
    user_id = parse_uuid(account)
    return {"user_id": users.delete_any(database(), user_id=user_id, lookup=account if user_id is None else None)}


@family.route("POST", "/backup-key", guard=operators.authorize, body=CreateBackupKey, answer=BackupKey, stores=True)
def create_backup_key(*, user: str) -> dict[str, str | bool]:
    key = new_key()
    replaces = backup_keys.put(database(), user, digest_of(key))
    return {"user": user, "key": key, "replaces": replaces}


@functions_framework.http
def admin(request: Request) -> Response:
    return family.handle(request)
