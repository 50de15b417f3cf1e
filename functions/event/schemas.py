"""Wire forms of the event family. Limits count decoded bytes (docs/api.md, "Limits")."""

from shared.data.events import ENTRY_EVENTS
from shared.http import WireSchema, fields

MAX_EVENT_BYTES = 262_144  # a session of 12 × 5 sets is 25 KB
MAX_IV_BYTES = 16
MAX_USERS = 1_000  # the app asks about all friends at once
MAX_SECRET_CHARACTERS = 40


class PutEvent(WireSchema):
    user_id = fields.Uuid(required=True)
    password = fields.Password(required=True)
    event_id = fields.Uuid(required=True)
    encrypted_event_payload = fields.Base64(min_bytes=1, max_bytes=MAX_EVENT_BYTES, required=True)
    encrypted_event_iv = fields.Base64(min_bytes=1, max_bytes=MAX_IV_BYTES, required=True, data_key="encryptedEventIV")
    expiry = fields.Instant(required=True)


class FeedRequest(WireSchema):
    user_id = fields.Uuid(required=True)
    follow_secret = fields.PresentedSecret(max_length=MAX_SECRET_CHARACTERS, required=True)
    since = fields.Instant(required=True)


class ListEvents(WireSchema):
    users = fields.Array(fields.Nested(FeedRequest), min_items=1, max_items=MAX_USERS, required=True)


class Event(WireSchema):
    user_id = fields.Uuid()
    event_id = fields.Uuid()
    timestamp = fields.Instant()
    encrypted_event_payload = fields.Base64(min_bytes=1, max_bytes=MAX_EVENT_BYTES)
    encrypted_event_iv = fields.Base64(min_bytes=1, max_bytes=MAX_IV_BYTES, data_key="encryptedEventIV")
    expiry = fields.Instant()


class Feed(WireSchema):
    events = fields.Array(fields.Nested(Event), min_items=0, max_items=MAX_USERS * ENTRY_EVENTS)
    invalid_follow_secrets = fields.Array(
        fields.PresentedSecret(max_length=MAX_SECRET_CHARACTERS), min_items=0, max_items=MAX_USERS
    )
