"""Wire forms of the user family. Limits count decoded bytes (docs/api.md, "Limits")."""

from shared.http import WireSchema, fields

MAX_PLAN_BYTES = 262_144  # 6 days × 8 exercises × 4 sets with notes are 31 KB
MAX_PICTURE_BYTES = 2_048_000
MAX_NAME_BYTES = 2_048
MAX_IV_BYTES = 16
MAX_PUBLIC_KEY_BYTES = 1_024
MAX_IDS = 1_000


class CreateUser(WireSchema):
    """No fields; whatever is sent is ignored."""


class CreatedUser(WireSchema):
    id = fields.Uuid()
    user_id = fields.Uuid(data_key="user_id")  # the runbook's name
    lookup = fields.Text(max_length=12)
    password = fields.Password()


class PutUser(WireSchema):
    user_id = fields.Uuid(required=True, data_key="id")
    password = fields.Password(required=True)
    encrypted_current_plan = fields.Base64(max_bytes=MAX_PLAN_BYTES, allow_none=True, load_default=None)
    encrypted_profile_picture = fields.Base64(max_bytes=MAX_PICTURE_BYTES, allow_none=True, load_default=None)
    encrypted_name = fields.Base64(max_bytes=MAX_NAME_BYTES, allow_none=True, load_default=None)
    encryption_iv = fields.Base64(max_bytes=MAX_IV_BYTES, required=True, data_key="encryptionIV")
    rsa_public_key = fields.Base64(max_bytes=MAX_PUBLIC_KEY_BYTES, required=True)


class DeleteUser(WireSchema):
    user_id = fields.Uuid(required=True, data_key="id")
    password = fields.Password(required=True)


class ListUsers(WireSchema):
    ids = fields.Array(fields.Uuid(), min_items=1, max_items=MAX_IDS, required=True)


class User(WireSchema):
    id = fields.Uuid()
    lookup = fields.Text(max_length=12)
    encrypted_current_plan = fields.Base64(max_bytes=MAX_PLAN_BYTES, allow_none=True)
    encrypted_profile_picture = fields.Base64(max_bytes=MAX_PICTURE_BYTES, allow_none=True)
    encrypted_name = fields.Base64(max_bytes=MAX_NAME_BYTES, allow_none=True)
    encryption_iv = fields.Base64(max_bytes=MAX_IV_BYTES, data_key="encryptionIV")
    rsa_public_key = fields.Base64(max_bytes=MAX_PUBLIC_KEY_BYTES)


class Users(WireSchema):
    users = fields.Map(fields.Nested(User), max_name_length=36, max_items=MAX_IDS)
