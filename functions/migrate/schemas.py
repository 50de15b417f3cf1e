"""Wire forms of the migrate function."""

from shared.http import WireSchema


class Migrate(WireSchema):
    """No fields; whatever is sent is ignored."""
