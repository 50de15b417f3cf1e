"""Wire forms of the inbox family. Limits count decoded bytes (docs/api.md, "Limits")."""

from shared.data.inboxes import MAX_WAITING
from shared.http import WireSchema, fields

MAX_CHUNKS = 20
MAX_CHUNK_BYTES = 1_024


class PutMessage(WireSchema):
    to_user_id = fields.Uuid(required=True)
    encrypted_message = fields.Array(
        fields.Base64(max_bytes=MAX_CHUNK_BYTES), min_items=1, max_items=MAX_CHUNKS, required=True
    )


class TakeMessages(WireSchema):
    user_id = fields.Uuid(required=True)
    password = fields.Password(required=True)


class Message(WireSchema):
    id = fields.Uuid()
    encrypted_message = fields.Array(fields.Base64(max_bytes=MAX_CHUNK_BYTES), min_items=1, max_items=MAX_CHUNKS)


class Messages(WireSchema):
    inbox_messages = fields.Array(fields.Nested(Message), min_items=0, max_items=MAX_WAITING)
