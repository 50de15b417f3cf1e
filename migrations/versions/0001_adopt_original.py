"""The original backend's tables: made where they are missing, adopted where the original made them.

Names and types are those of Entity Framework, at both of the original's histories (docs/database.md). What is there
stays as it is, `"__EFMigrationsHistory"` included, so the original can go on working on the same database.
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS users (
            id uuid NOT NULL,
            user_lookup text NOT NULL,
            hashed_password text NOT NULL,
            last_accessed timestamptz NOT NULL,
            created timestamptz NOT NULL,
            salt bytea NOT NULL,
            encrypted_current_plan bytea,
            encrypted_profile_picture bytea,
            encrypted_name bytea,
            encryption_iv bytea NOT NULL,
            rsa_public_key bytea NOT NULL,
            CONSTRAINT pk_users PRIMARY KEY (id)
        )
        """
    )
    # GET /user/{lookup}
    op.execute("CREATE UNIQUE INDEX IF NOT EXISTS ix_users_user_lookup ON users (user_lookup)")
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS user_events (
            user_id uuid NOT NULL,
            id uuid NOT NULL,
            timestamp timestamptz NOT NULL,
            last_accessed timestamptz NOT NULL,
            expiry timestamptz NOT NULL,
            encrypted_event bytea NOT NULL,
            encryption_iv bytea NOT NULL,
            CONSTRAINT pk_user_events PRIMARY KEY (user_id, id),
            CONSTRAINT fk_user_events_users_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
        )
        """
    )
    # the cleanup's search for expired events
    op.execute("CREATE INDEX IF NOT EXISTS ix_user_events_expiry ON user_events (expiry)")
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS user_follow_secrets (
            id uuid NOT NULL,
            user_id uuid NOT NULL,
            value varchar(40) NOT NULL,
            CONSTRAINT pk_user_follow_secrets PRIMARY KEY (id),
            CONSTRAINT fk_user_follow_secrets_users_user_id
                FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
        )
        """
    )
    # POST /follow-secret/delete, and the cascade of POST /user/delete
    op.execute("CREATE INDEX IF NOT EXISTS ix_user_follow_secrets_user_id ON user_follow_secrets (user_id)")
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS user_inbox_items (
            id uuid NOT NULL,
            user_id uuid NOT NULL,
            encrypted_message bytea[] NOT NULL,
            CONSTRAINT pk_user_inbox_items PRIMARY KEY (id),
            CONSTRAINT fk_user_inbox_items_users_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
        )
        """
    )
    # PUT /inbox (how many wait), POST /inbox
    op.execute("CREATE INDEX IF NOT EXISTS ix_user_inbox_items_user_id ON user_inbox_items (user_id)")
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS shared_items (
            id text NOT NULL,
            user_id uuid NOT NULL,
            timestamp timestamptz NOT NULL,
            expiry timestamptz NOT NULL,
            encrypted_payload bytea NOT NULL,
            encryption_iv bytea NOT NULL,
            CONSTRAINT pk_shared_items PRIMARY KEY (id),
            CONSTRAINT fk_shared_items_users_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
        )
        """
    )
    # the cascade of POST /user/delete
    op.execute("CREATE INDEX IF NOT EXISTS ix_shared_items_user_id ON shared_items (user_id)")


def downgrade() -> None:
    """Leave everything: the tables may be the original's, and hold what it needs."""
