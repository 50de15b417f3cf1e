"""One's own data: all that is kept of an account as one JSON document, and an account made of such a document.

POST /user/export  credentials → 200 the document · 404 · 401
POST /user/import  id and password as Basic, the document → 200 how much of it was stored · 409 taken · 413 · 429

The document's form is in docs/own-data.md. A password is no part of it: it is for the owner to keep and to bring.
"""

from typing import IO
from uuid import UUID

import flask
import functions_framework
from flask import Request, Response

from functions.own_data import arrivals, departures, newcomers
from functions.own_data.schemas import AccountDocument, ExportAccount, ImportedAccount
from shared.credentials import Credentials
from shared.data import database, exports
from shared.http import Family

family = Family("own_data")


@family.route("POST", "/user/export", body=ExportAccount, answer=AccountDocument)
def export_account(*, user_id: UUID, password: str) -> Response:
    exports.authenticate(database(), Credentials(user_id, password))
    return departures.answer(flask.request, user_id)


@family.route(
    "POST", "/user/import", guard=newcomers.admit, guarded="owner", answer=ImportedAccount, stores=True,
    upload_bytes=arrivals.most_bytes, uploads_at_once=arrivals.MOST_AT_ONCE,
)  # fmt: skip
def import_account(*, owner: Credentials, upload: IO[bytes]) -> dict[str, object]:
    return arrivals.take_in(owner, upload, newcomers.address())


@functions_framework.http
def own_data(request: Request) -> Response:
    return family.handle(request)
