"""Hold a chat's message back for a while: the end of a call that a restart has ended (docs/chat.md, "Calls")."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("ALTER TABLE chat_messages ADD COLUMN held_until timestamptz")


def downgrade() -> None:
    op.execute("ALTER TABLE chat_messages DROP COLUMN held_until")
