"""`make migrate`: brings the database of DATABASE_URL, or the embedded one, to this release's schema."""

import sys
from contextlib import ExitStack

import migrations
from local.databases import own_database
from local.postgres import DataDirInUse, PostgresFailed
from local.settings import local_settings
from shared.errors import DatabaseUnavailable, InvalidSetting
from shared.settings.database import function_users


def main() -> int:
    """Migrate, and say from where to where. Return the exit status."""
    try:
        settings = local_settings()
        with ExitStack() as started:
            url, _ = own_database(settings, started)
            before, after = migrations.upgrade(
                url, rate_limit_url=settings.rate_limit_database_url, users=function_users()
            )
    except (InvalidSetting, DataDirInUse, PostgresFailed, DatabaseUnavailable, migrations.MigrationBusy) as error:
        print(f"make migrate: {error}", file=sys.stderr)
        return 1
    print(f"schema {after}" if before == after else f"schema {before or 'none'} → {after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
