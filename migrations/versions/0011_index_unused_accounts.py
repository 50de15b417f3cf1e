"""Index accounts that have never stored a profile. Built concurrently; one that was left invalid is dropped first."""

from alembic import op

from migrations.transactions import outside_transaction

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    with outside_transaction():
        # cleanup: accounts that were never used. Not on last_accessed: an index on what most requests change would cost
        # each of them the short way (a HOT update)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_users_unused")
        op.execute("CREATE INDEX CONCURRENTLY ix_users_unused ON users (created) WHERE rsa_public_key = ''")


def downgrade() -> None:
    with outside_transaction():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_users_unused")
