"""Index what a poll looks up. Built concurrently: on a database in use, publishing goes on meanwhile.

An index that an interrupted build left invalid is dropped first.
"""

from alembic import op

from migrations.transactions import outside_transaction

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with outside_transaction():
        # POST /events: a user's events after an instant, oldest first
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_user_events_user_id_timestamp")
        op.execute("CREATE INDEX CONCURRENTLY ix_user_events_user_id_timestamp ON user_events (user_id, timestamp)")
        # POST /events: whose secret it is, up to 200 at once
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_user_follow_secrets_value")
        op.execute("CREATE INDEX CONCURRENTLY ix_user_follow_secrets_value ON user_follow_secrets (value)")


def downgrade() -> None:
    with outside_transaction():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_user_events_user_id_timestamp")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_user_follow_secrets_value")
