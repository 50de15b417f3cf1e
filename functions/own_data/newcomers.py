"""Who brings an account from another server: nobody knows them here, so they show what they will log in with."""

import flask

from shared.basic import user_and_password
from shared.credentials import Credentials
from shared.data import database, imports
from shared.errors import InvalidRequest
from shared.http.clients import client_address
from shared.http.fields import NIL
from shared.http.formats import parse_uuid
from shared.passwords import is_generated


def admit(authorization: str | None) -> Credentials:
    """Return what a newcomer is going to log in with. Takes the Authorization header.

    Raises InvalidRequest, never 401, on which apps delete their account; AccountTaken, QuotaExceeded.
    """
    user, password = user_and_password(authorization or "") or ("", "")
    user_id = parse_uuid(user)
    if user_id in {None, NIL} or not is_generated(password):
        message = "must be Basic, with the account's id and its password, which are two UUIDs"
        raise InvalidRequest("The request does not say whose account it brings.", {"Authorization": message})
    imports.refuse_if_taken(database(), user_id, address=address())
    return Credentials(user_id, password)


def address() -> str | None:
    """Return the client's address, None if it is nobody's."""
    return client_address(flask.request)
