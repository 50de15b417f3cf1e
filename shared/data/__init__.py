"""Data access: one module per aggregate, SQL in plain sight. Nothing here knows HTTP."""

from functools import cache

from shared.data.pool import Database
from shared.settings import database_settings


@cache
def database() -> Database:
    """Return this process's database handle; connections are opened when they are first needed."""
    settings = database_settings()
    return Database(settings.url, settings.pool_size, settings.pool_timeout_seconds)
