"""Whose backups a request is about, and what it shows for them.

The app sends `X-Api-Key` to the URL that its user typed, query included (LiftLog's
app/src/store/settings/remote-backup-effects.ts and RemoteBackup.md); its maintainers wish for standard headers as
well (LiftLog's issue 950). A browser knows Basic.
"""

import flask

from shared.backup_keys import PresentedKey
from shared.backup_stores import backup_store
from shared.basic import user_and_password
from shared.data import backup_keys, database


def presented(authorization: str | None) -> PresentedKey:
    """Return what a request shows, unchecked. Takes the Authorization header. Raises BackupsOff, InvalidSetting."""
    backup_store()
    user, key = _of_header(authorization or "")
    api_key = flask.request.headers.get("X-Api-Key", "").strip()
    return PresentedKey(flask.request.args.get("user") or user, api_key or key)


def owner(authorization: str | None) -> str:
    """Return the name of whoever shows its key. Raises WrongKey, BackupsOff, InvalidSetting."""
    shown = presented(authorization)
    backup_keys.check(database(), shown)
    return str(shown.row_name)


def _of_header(authorization: str) -> tuple[str | None, str]:
    """Return the name and the key of an Authorization header: basic or bearer (RFC 6750)."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return None, value.strip()
    user, password = user_and_password(authorization) or ("", "")
    return user or None, password
