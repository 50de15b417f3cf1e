"""Feed events: published by their author, read by whoever knows a follow secret of that author.

PUT  /event   credentials, eventId, ciphertext, expiry   → 200 · 404 · 401
POST /events  up to 1000 × userId, followSecret, since    → 200 events, invalidFollowSecrets
"""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import functions_framework
from flask import Request, Response

from functions.event.schemas import Feed, ListEvents, PutEvent
from shared.credentials import Credentials
from shared.data import database, events
from shared.http import Family, JsonText

family = Family("event")


@family.route("PUT", "/event", body=PutEvent)
def put_event(
    *,
    user_id: UUID,
    password: str,
    event_id: UUID,
    encrypted_event_payload: bytes,
    encrypted_event_iv: bytes,
    expiry: datetime,
) -> None:
    event = events.Event(event_id, encrypted_event_payload, encrypted_event_iv, expiry)
    events.put(database(), Credentials(user_id, password), event)


@family.route("POST", "/events", body=ListEvents, answer=Feed)
def list_events(*, users: list[dict[str, Any]]) -> JsonText:
    feed = events.list_feed(database(), [events.FeedRequest(**user) for user in users])
    return JsonText('{"events":', feed.events_json, f',"invalidFollowSecrets":{json.dumps(feed.invalid_secrets)}}}')


@functions_framework.http
def event(request: Request) -> Response:
    return family.handle(request)
