"""Which database a command uses: the one that DATABASE_URL names, or the embedded one, which is started if need be."""

from contextlib import ExitStack

from local.postgres import DataDirInUse, EmbeddedPostgres
from local.settings import LocalSettings


def own_database(settings: LocalSettings, started: ExitStack) -> tuple[str, EmbeddedPostgres | None]:
    """Return the database's URL, and the server if it is the embedded one; `started` ends it.

    Raises DataDirInUse if a server of ours runs on the data folder already, and PostgresFailed.
    """
    if settings.database_url is not None:
        return settings.database_url, None
    postgres = EmbeddedPostgres(settings.data_dir)
    started.callback(postgres.stop)
    postgres.start()
    return postgres.url, postgres


def running_database(settings: LocalSettings, started: ExitStack) -> str:
    """Return the database's URL, also of one that a server of ours runs already. Raises PostgresFailed."""
    try:
        url, _ = own_database(settings, started)
    except DataDirInUse:
        return EmbeddedPostgres(settings.data_dir).url
    return url
