"""Wire forms of the own_data family: the document, field by field (docs/own-data.md), and what is asked and answered.

What a document holds has the limits that it had when it was sent, which a test holds against the other families.
"""

from shared.data.inboxes import MAX_WAITING
from shared.http import WireSchema, fields

FORMAT, VERSION = "liftlog-account", 1
MAX_PLAN_BYTES = 262_144
MAX_PICTURE_BYTES = 2_048_000
MAX_NAME_BYTES = 2_048
MAX_IV_BYTES = 16
MAX_PUBLIC_KEY_BYTES = 1_024
MAX_EVENT_BYTES = 262_144
MAX_SECRET_CHARACTERS = 40
MAX_CHUNKS, MAX_CHUNK_BYTES = 20, 1_024
MAX_ITEM_BYTES = 262_144
MOST_ELEMENTS = 1_000_000  # the quotas say less


class ExportAccount(WireSchema):
    user_id = fields.Uuid(required=True, data_key="id")
    password = fields.Password(required=True)


class ImportedAccount(WireSchema):
    """How much was stored; what had expired was not."""

    id = fields.Uuid()
    lookup = fields.Text(max_length=24)
    events = fields.Integer(least=0, most=MOST_ELEMENTS)
    follow_secrets = fields.Integer(least=0, most=MOST_ELEMENTS)
    inbox_messages = fields.Integer(least=0, most=MAX_WAITING)
    shared_items = fields.Integer(least=0, most=MOST_ELEMENTS)


class LastWriting(WireSchema):
    """What the account wrote on the last day (UTC) on which it wrote; an import does not look at it."""

    day = fields.Text(max_length=10, allow_none=True)
    writes = fields.Integer(least=0, most=2**31 - 1)
    bytes = fields.Integer(least=0, most=2**53)


class ExportedAccount(WireSchema):
    id = fields.Uuid(required=True)
    lookup = fields.Text(
        max_length=24, pattern=r"^[a-z][a-z0-9]*$(?!\n)", example="k2v9x0q4m7tz", allow_none=True, load_default=None
    )
    created = fields.Instant(allow_none=True, load_default=None)
    last_accessed = fields.Instant(allow_none=True, load_default=None)
    newest_event = fields.Instant(allow_none=True, load_default=None)
    encrypted_current_plan = fields.Base64(max_bytes=MAX_PLAN_BYTES, allow_none=True, load_default=None)
    encrypted_profile_picture = fields.Base64(max_bytes=MAX_PICTURE_BYTES, allow_none=True, load_default=None)
    encrypted_name = fields.Base64(max_bytes=MAX_NAME_BYTES, allow_none=True, load_default=None)
    encryption_iv = fields.Base64(max_bytes=MAX_IV_BYTES, required=True, data_key="encryptionIV")
    rsa_public_key = fields.Base64(max_bytes=MAX_PUBLIC_KEY_BYTES, required=True)
    last_writing = fields.Nested(LastWriting, load_default=None)


class ExportedEvent(WireSchema):
    event_id = fields.Uuid(required=True)
    timestamp = fields.Instant(required=True)
    last_accessed = fields.Instant(allow_none=True, load_default=None)
    expiry = fields.Instant(required=True)
    encrypted_event_payload = fields.Base64(min_bytes=1, max_bytes=MAX_EVENT_BYTES, required=True)
    encrypted_event_iv = fields.Base64(min_bytes=1, max_bytes=MAX_IV_BYTES, required=True, data_key="encryptedEventIV")


class ExportedFollowSecret(WireSchema):
    follow_secret = fields.Text(min_length=1, max_length=MAX_SECRET_CHARACTERS, required=True)


class ExportedMessage(WireSchema):
    id = fields.Uuid(load_default=None)
    encrypted_message = fields.Array(
        fields.Base64(max_bytes=MAX_CHUNK_BYTES), min_items=1, max_items=MAX_CHUNKS, required=True
    )


class ExportedIV(WireSchema):
    value = fields.Base64(min_bytes=MAX_IV_BYTES, max_bytes=MAX_IV_BYTES, required=True)


class ExportedPayload(WireSchema):
    encrypted_payload = fields.Base64(max_bytes=MAX_ITEM_BYTES, required=True)
    iv = fields.Nested(ExportedIV, required=True)


class ExportedItem(WireSchema):
    id = fields.Text(max_length=24, pattern=r"^[a-z][a-z0-9]*$(?!\n)", example="k2v9x0q4m7tz", required=True)
    timestamp = fields.Instant(allow_none=True, load_default=None)
    expiry = fields.Instant(required=True)
    encrypted_payload = fields.Nested(ExportedPayload, required=True)


class AccountDocument(WireSchema):
    """All that is kept of an account, but what it logs in with."""

    format = fields.Text(max_length=40, pattern=rf"^{FORMAT}$(?!\n)", example=FORMAT, required=True)
    version = fields.Integer(least=VERSION, most=VERSION, required=True)
    exported_at = fields.Instant(load_default=None)
    account = fields.Nested(ExportedAccount, required=True)
    events = fields.Array(fields.Nested(ExportedEvent), min_items=0, max_items=MOST_ELEMENTS, required=True)
    follow_secrets = fields.Array(
        fields.Nested(ExportedFollowSecret), min_items=0, max_items=MOST_ELEMENTS, required=True
    )
    inbox_messages = fields.Array(fields.Nested(ExportedMessage), min_items=0, max_items=MOST_ELEMENTS, required=True)
    shared_items = fields.Array(fields.Nested(ExportedItem), min_items=0, max_items=MOST_ELEMENTS, required=True)
