"""Add backups of phones: who may store them, and what is stored. Their bytes are elsewhere (BACKUP_STORE)."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE backup_keys (
            name text NOT NULL,
            digest bytea NOT NULL, -- of the one key that is good for this name
            created_at timestamptz NOT NULL,
            used_at timestamptz, -- when a backup was last stored with it
            CONSTRAINT pk_backup_keys PRIMARY KEY (name)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE backups (
            id uuid NOT NULL, -- its bytes are under this id, and no other backup's ever were
            name text NOT NULL,
            sha256 bytea NOT NULL,
            bytes bigint NOT NULL,
            stored_at timestamptz NOT NULL, -- when it was last sent
            CONSTRAINT pk_backups PRIMARY KEY (id),
            CONSTRAINT uq_backups_name_sha256 UNIQUE (name, sha256), -- serves backups.put, too: all of one name
            CONSTRAINT fk_backups_backup_keys_name FOREIGN KEY (name) REFERENCES backup_keys (name) ON DELETE CASCADE
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE backups, backup_keys")
