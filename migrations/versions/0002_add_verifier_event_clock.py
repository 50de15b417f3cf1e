"""Add what this backend keeps of an account beside the original's columns: fast verifier, newest event's timestamp.

Both are nullable or have a default: the original, which knows nothing of them, goes on inserting. Nothing is rewritten.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE users
            ADD COLUMN verifier bytea,
            ADD COLUMN last_event_at timestamptz NOT NULL DEFAULT '-infinity'
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE users DROP COLUMN verifier, DROP COLUMN last_event_at")
