"""Number inbox messages in the order of their arrival.

A transaction apart from the one on `users`: a message being stored holds its table and waits for `users` (its foreign
key), so a migration that held both would end one of the two in a deadlock.

The first release did this in its 0002, and stays at that where it failed to build its indexes: what is there is left.
Nothing is rewritten. `seq` is therefore null in messages that are older than it; they come first.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE user_inbox_items ADD COLUMN IF NOT EXISTS seq bigint")
    op.execute("CREATE SEQUENCE IF NOT EXISTS user_inbox_items_seq OWNED BY user_inbox_items.seq")
    op.execute("ALTER TABLE user_inbox_items ALTER COLUMN seq SET DEFAULT nextval('user_inbox_items_seq')")


def downgrade() -> None:
    op.execute("ALTER TABLE user_inbox_items DROP COLUMN seq")
