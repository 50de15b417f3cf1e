"""Wire forms of the inbox family. Limits count decoded bytes (docs/api.md, "Limits")."""

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
