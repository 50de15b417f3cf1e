"""Wire forms of the admin family."""

from shared.backup_keys import KEY_CHARACTERS, NAME, NAME_CHARACTERS
from shared.http import WireSchema, fields

ACCOUNT_CHARACTERS = 40  # an id has 36, a lookup 12


class DeleteAccount(WireSchema):
    account = fields.Text(min_length=1, max_length=ACCOUNT_CHARACTERS, required=True)
    again = fields.Text(min_length=1, max_length=ACCOUNT_CHARACTERS, required=True)


class DeletedAccount(WireSchema):
    user_id = fields.Uuid()


class CreateBackupKey(WireSchema):
    user = fields.Text(
        min_length=1, max_length=NAME_CHARACTERS, pattern=rf"^{NAME.pattern}$(?!\n)", example="ann", required=True
    )


class BackupKey(WireSchema):
    user = fields.Text(max_length=NAME_CHARACTERS)
    key = fields.Text(max_length=KEY_CHARACTERS)
    replaces = fields.Flag()
