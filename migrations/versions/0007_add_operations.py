"""Add what operation needs: metrics that all instances add up in, and a record of what the cleanup did."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE metric_buckets (
            start timestamptz NOT NULL,
            instance uuid NOT NULL,
            counts jsonb NOT NULL,
            gauges jsonb NOT NULL,
            CONSTRAINT pk_metric_buckets PRIMARY KEY (start, instance)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE cleanup_runs (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            started timestamptz NOT NULL,
            finished timestamptz NOT NULL,
            dry_run boolean NOT NULL,
            deleted jsonb NOT NULL,
            remaining boolean NOT NULL
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE cleanup_runs, metric_buckets")
