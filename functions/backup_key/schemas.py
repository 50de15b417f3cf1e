"""Wire forms of the backup_key family."""

from shared.backup_keys import KEY_CHARACTERS, NAME, NAME_CHARACTERS
from shared.http import WireSchema, fields


class CreateBackupKey(WireSchema):
    user = fields.Text(
        min_length=1, max_length=NAME_CHARACTERS, pattern=rf"^{NAME.pattern}$(?!\n)", example="ann", required=True
    )


class BackupKey(WireSchema):
    user = fields.Text(max_length=NAME_CHARACTERS)
    key = fields.Text(max_length=KEY_CHARACTERS)
    replaces = fields.Flag()
