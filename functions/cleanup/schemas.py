"""Wire forms of the cleanup."""

from shared.http import WireSchema, fields

MOST_ROWS = 100_000_000


class Cleanup(WireSchema):
    dry_run = fields.Flag(load_default=False)
    limit = fields.Integer(least=1, most=MOST_ROWS, load_default=MOST_ROWS)
