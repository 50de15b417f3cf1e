"""Add what this backend keeps beside the original's columns.

All of it is nullable or has a default: the original, which knows nothing of it, goes on inserting.

Nothing here rewrites a table. `seq` is therefore null in messages that are older than it; they come first.
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
    op.execute("ALTER TABLE user_inbox_items ADD COLUMN seq bigint")
    op.execute("CREATE SEQUENCE user_inbox_items_seq OWNED BY user_inbox_items.seq")
    op.execute("ALTER TABLE user_inbox_items ALTER COLUMN seq SET DEFAULT nextval('user_inbox_items_seq')")


def downgrade() -> None:
    op.execute("ALTER TABLE user_inbox_items DROP COLUMN seq")
    op.execute("ALTER TABLE users DROP COLUMN verifier, DROP COLUMN last_event_at")
