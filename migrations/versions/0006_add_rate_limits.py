"""The rate limits' table: made where it is missing, adopted where the original made it in this database."""

from alembic import op

from migrations.rate_limits import TABLE

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    """Leave it: the table may be the original's."""
