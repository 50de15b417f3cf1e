"""Statements that check credentials themselves, in the same round trip in which they act.

Such a statement takes `:user_id`, `:verifier`, `:legacy_hash` and `:upgrade`, compares

    verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash

and returns no row if the user is unknown, else first the columns

    acted        the statement matched the credentials and did its work
    matching     the credentials matched in the statement's snapshot
    legacy_salt  the salt of a password that only the original backend's hash knows, else null
"""

from typing import Any

from shared.credentials import Credentials
from shared.data.connections import Row
from shared.data.pool import Database
from shared.errors import UnknownUser, WrongPassword
from shared.passwords import legacy_digest


def run(
    db: Database, statement: str, credentials: Credentials, /, *, repeatable: bool = False, **parameters: Any
) -> Row:
    """Run the statement as the user and return what it reports after its first three columns.

    A password that only the original's hash knows takes a second run with that hash, about 190 ms later; it leaves
    the fast verifier. Raises UnknownUser, WrongPassword, Overloaded, DatabaseUnavailable; then nothing was written.
    """
    parameters |= {
        "user_id": credentials.user_id, "verifier": credentials.verifier(), "upgrade": None, "legacy_hash": None,
    }  # fmt: skip
    row = db.row(statement, repeatable=repeatable, **parameters)
    if row is not None and not row[0] and row[2] is not None:
        parameters["legacy_hash"] = legacy_digest(credentials.password, row[2])
        parameters["upgrade"] = credentials.upgrade()
        row = db.row(statement, repeatable=repeatable, **parameters)
    if row is None:
        raise UnknownUser
    acted, matching, _legacy_salt, *outcome = row
    if not acted and matching:
        raise UnknownUser  # deleted while the statement waited for the row's lock
    if not acted:
        raise WrongPassword
    return outcome
