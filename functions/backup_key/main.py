"""Keys of backups: made by an operator for a name, and shown once.

POST /backup-key  {user}  → 200 the name's new key, in place of any before; its backups stay · 400
"""

import functions_framework
from flask import Request, Response

from functions.backup_key.schemas import BackupKey, CreateBackupKey
from shared import operators
from shared.backup_keys import digest_of, new_key
from shared.data import backup_keys, database
from shared.http import Family

family = Family("backup_key", operation="POST /backup-key")


@family.route("POST", "/backup-key", guard=operators.authorize, body=CreateBackupKey, answer=BackupKey, stores=True)
def create_backup_key(*, user: str) -> dict[str, str | bool]:
    key = new_key()
    replaces = backup_keys.put(database(), user, digest_of(key))
    return {"user": user, "key": key, "replaces": replaces}


@functions_framework.http
def backup_key(request: Request) -> Response:
    return family.handle(request)
