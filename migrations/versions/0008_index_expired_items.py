"""Index what the cleanup looks up. Built concurrently, as in 0004."""

from alembic import op

from migrations.transactions import outside_transaction

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    with outside_transaction():
        # POST /cleanup: the shared items that expired first
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_shared_items_expiry")
        op.execute("CREATE INDEX CONCURRENTLY ix_shared_items_expiry ON shared_items (expiry)")


def downgrade() -> None:
    with outside_transaction():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_shared_items_expiry")
