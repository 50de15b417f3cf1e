"""Wire forms of the backup family."""

from shared.http import WireSchema, fields

DIGEST_CHARACTERS = 64


class Backup(WireSchema):
    id = fields.Uuid()
    bytes = fields.Integer(least=1, most=2**40, attribute="byte_count")
    sha256 = fields.Text(min_length=DIGEST_CHARACTERS, max_length=DIGEST_CHARACTERS, attribute="hex_digest")
    stored_at = fields.Instant()


class Backups(WireSchema):
    backups = fields.Array(fields.Nested(Backup), min_items=0, max_items=1_000_000)
