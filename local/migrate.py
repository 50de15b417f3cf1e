"""`make migrate`: brings the database of DATABASE_URL, or the embedded one, to this release's schema."""

import sys

import migrations
from local.postgres import EmbeddedPostgres
from local.settings import local_settings


def main() -> int:
    """Migrate, and say from where to where. Return the exit status."""
    settings = local_settings()
    postgres = None if settings.database_url else EmbeddedPostgres(settings.data_dir)
    try:
        if postgres is not None:
            postgres.start()
        before, after = migrations.upgrade(settings.database_url or postgres.url)  # type: ignore[union-attr]
    finally:
        if postgres is not None:
            postgres.stop()
    print(f"schema {after}" if before == after else f"schema {before or 'none'} → {after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
