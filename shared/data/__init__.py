"""Data access: one module per aggregate, SQL in plain sight. Nothing here knows HTTP."""

from functools import cache

from shared.data.pool import Database
from shared.metrics import registry
from shared.settings.database import database_settings


@cache
def database() -> Database:
    """Return this process's database handle; connections are opened when they are first needed."""
    settings = database_settings()
    handle = Database(settings.url, settings.pool_size, settings.pool_timeout_seconds)
    registry.gauge("liftlog_database_pool_size", lambda: settings.pool_size)
    registry.gauge("liftlog_database_pool_in_use", lambda: handle.in_use)
    return handle


@cache
def rate_limit_database() -> Database:
    """Return this process's handle of the rate limits' database, which is `database()` unless another is named."""
    settings = database_settings()
    if settings.rate_limit_url == settings.url:
        return database()
    return Database(settings.rate_limit_url, settings.pool_size, settings.pool_timeout_seconds)
