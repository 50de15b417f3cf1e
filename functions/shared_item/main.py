"""Shared workouts: an encrypted payload that anyone with its link can fetch until it expires.

POST /shareditem            credentials, payload, expiry → 200 id · 401, also for an unknown user
GET  /shareditem/{item_id}  no credentials               → 200 payload and its author's public key · 404
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import functions_framework
from flask import Request, Response

from functions.shared_item.schemas import CreatedSharedItem, CreateSharedItem, SharedItem
from shared.credentials import Credentials
from shared.data import database, shared_items
from shared.http import Family, JsonText

family = Family("shared_item")


@family.route("POST", "/shareditem", body=CreateSharedItem, answer=CreatedSharedItem, stores=True)
def create_shared_item(
    *, user_id: UUID, password: str, encrypted_payload: dict[str, Any], expiry: datetime
) -> dict[str, str]:
    item = shared_items.SharedItem(encrypted_payload["encrypted_payload"], encrypted_payload["iv"]["value"], expiry)
    return {"id": shared_items.create(database(), Credentials(user_id, password), item)}


@family.route("GET", "/shareditem/{item_id}", answer=SharedItem)
def get_shared_item(*, item_id: str) -> JsonText:
    return JsonText(shared_items.get(database(), item_id))


@functions_framework.http
def shared_item(request: Request) -> Response:
    return family.handle(request)
