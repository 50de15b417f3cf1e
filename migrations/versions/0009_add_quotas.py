"""Add what quotas are judged by: what an account wrote today, and how many accounts a source made.

A source is a client's address, kept for a day at most and only as a digest with that day's key (docs/adr/0008).
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE users
            ADD COLUMN quota_day date, -- of the two beside it; null: nothing was counted yet
            ADD COLUMN quota_writes integer NOT NULL DEFAULT 0,
            ADD COLUMN quota_bytes bigint NOT NULL DEFAULT 0
        """
    )
    op.execute(
        """
        CREATE TABLE source_keys (
            day date NOT NULL,
            key bytea NOT NULL,
            CONSTRAINT pk_source_keys PRIMARY KEY (day)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE source_counts (
            source bytea NOT NULL,
            hour timestamptz NOT NULL,
            accounts integer NOT NULL,
            CONSTRAINT pk_source_counts PRIMARY KEY (source, hour)
        )
        """
    )
    op.execute(
        """
        CREATE FUNCTION source_of(address text) RETURNS bytea LANGUAGE plpgsql VOLATILE STRICT AS $$
        -- 8 bytes of a digest: enough to tell sources apart, too few to prove an address. It makes the day's key.
        DECLARE
            today_key bytea;
        BEGIN
            SELECT key INTO today_key FROM source_keys WHERE day = current_date;
            IF today_key IS NULL THEN
                INSERT INTO source_keys (day, key)
                VALUES (current_date, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
                ON CONFLICT (day) DO NOTHING;
                SELECT key INTO today_key FROM source_keys WHERE day = current_date;
            END IF;
            RETURN substr(sha256(today_key || convert_to(address, 'UTF8')), 1, 8);
        END $$
        """
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION source_of")
    op.execute("DROP TABLE source_counts, source_keys")
    op.execute("ALTER TABLE users DROP COLUMN quota_day, DROP COLUMN quota_writes, DROP COLUMN quota_bytes")
