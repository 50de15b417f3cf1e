"""Say of a waiting message from which source it came (docs/adr/0008).

A transaction apart from the one on `users`, as in 0003: a message being stored holds its table and waits for `users`.
"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("ALTER TABLE user_inbox_items ADD COLUMN source bytea")


def downgrade() -> None:
    op.execute("ALTER TABLE user_inbox_items DROP COLUMN source")
