"""Wire forms of the shared_item family. Limits count decoded bytes (docs/api.md, "Limits")."""

from shared.http import WireSchema, fields

MAX_ITEM_BYTES = 262_144
IV_BYTES = 16
MAX_PUBLIC_KEY_BYTES = 1_024


class InitializationVector(WireSchema):
    value = fields.Base64(min_bytes=IV_BYTES, max_bytes=IV_BYTES, required=True)


class EncryptedPayload(WireSchema):
    encrypted_payload = fields.Base64(max_bytes=MAX_ITEM_BYTES, required=True)
    iv = fields.Nested(InitializationVector, required=True)


class CreateSharedItem(WireSchema):
    user_id = fields.Uuid(required=True)
    password = fields.Password(required=True)
    encrypted_payload = fields.Nested(EncryptedPayload, required=True)
    expiry = fields.Instant(required=True)


class CreatedSharedItem(WireSchema):
    id = fields.Text(max_length=12)


class PublicKey(WireSchema):
    spki_public_key_bytes = fields.Base64(max_bytes=MAX_PUBLIC_KEY_BYTES)


class SharedItem(WireSchema):
    rsa_public_key = fields.Nested(PublicKey)
    encrypted_payload = fields.Nested(EncryptedPayload)
