"""Inboxes: anybody may leave a message, signed and encrypted by the apps; its recipient takes it, once.

PUT  /inbox  no credentials, toUserId, encryptedMessage → 200 · 404 · 429 full
POST /inbox  credentials                                → 200 inboxMessages, which are gone then · 404 · 401
"""

from uuid import UUID

import functions_framework
from flask import Request, Response, request

from functions.inbox.schemas import Messages, PutMessage, TakeMessages
from shared.credentials import Credentials
from shared.data import database, inboxes
from shared.http import Family, JsonText
from shared.http.clients import client_address

family = Family("inbox")


@family.route("PUT", "/inbox", body=PutMessage)
def put_message(*, to_user_id: UUID, encrypted_message: list[bytes]) -> None:
    address = client_address(request)
    inboxes.put(database(), recipient_id=to_user_id, chunks=encrypted_message, address=address)


@family.route("POST", "/inbox", body=TakeMessages, answer=Messages)
def take_messages(*, user_id: UUID, password: str) -> JsonText:
    messages = inboxes.take(database(), Credentials(user_id, password))
    return JsonText('{"inboxMessages":', messages, "}")


@functions_framework.http
def inbox(request: Request) -> Response:
    return family.handle(request)
