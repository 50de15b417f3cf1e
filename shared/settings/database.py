"""Where data is stored, and how passwords are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, urlencode

from shared.errors import InvalidSetting
from shared.settings.reading import flag, number, text

_CONNECTION_NAME_COLONS = 2


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the database is and how it may be used.

    DATABASE_URL                 postgresql://user:password@host:port/name?sslmode=…, or ?host=/socket/folder
    INSTANCE_CONNECTION_NAME     project:region:instance in Cloud SQL, where there is no DATABASE_URL; one is required
    DB_USER                      as whom there; default liftlog_backend
    DB_NAME                      which database there; default liftlog_user_data
    DB_IAM_AUTH                  true: as the function's own identity, without a password; default false, then the
                                 password is the secret DATABASE_PASSWORD
    CLOUD_SQL_ADMIN_ENDPOINT     another address of Cloud SQL's Admin API
    RATE_LIMIT_DATABASE_URL      the database of the rate limits; default the same one
    DB_POOL_SIZE                 most connections of one process, 1 to 100; default 8
    DB_POOL_TIMEOUT_SECONDS      longest wait for a free connection; default 5
    """

    url: str
    rate_limit_url: str
    pool_size: int
    pool_timeout_seconds: float


def _cloud_sql_url() -> str:
    """Return what stands for a DATABASE_URL where an instance in Cloud SQL is named, else an empty text."""
    instance = text("INSTANCE_CONNECTION_NAME")
    if instance and instance.count(":") < _CONNECTION_NAME_COLONS:
        raise InvalidSetting("INSTANCE_CONNECTION_NAME must be like project:region:instance")
    query = {"instance": instance, "iam": str(flag("DB_IAM_AUTH")).lower(), "admin": text("CLOUD_SQL_ADMIN_ENDPOINT")}
    user, name = quote(text("DB_USER", "liftlog_backend"), safe=""), quote(text("DB_NAME", "liftlog_user_data"))
    return f"cloudsql://{user}@/{name}?{urlencode(query)}" if instance else ""


def function_users() -> Mapping[str, str]:
    """Read which database user each family has, for a migration. Raises InvalidSetting.

    DB_FUNCTION_USERS            which user each family logs in as, like event=user,inbox=another; each gets the rights
                                 of its family. Default none: one owner does everything
    """
    pairs = [pair.partition("=") for pair in filter(None, text("DB_FUNCTION_USERS").replace(" ", "").split(","))]
    if not all(family and user for family, _, user in pairs):
        raise InvalidSetting("DB_FUNCTION_USERS must be like event=user,inbox=another")
    return {family: user for family, _, user in pairs}


@cache
def database_settings() -> DatabaseSettings:
    """Read the database's settings. Raises InvalidSetting."""
    url = text("DATABASE_URL") or _cloud_sql_url()
    if not url:
        raise InvalidSetting("DATABASE_URL is not set: postgresql://user:password@host:port/name")
    return DatabaseSettings(
        url=url,
        rate_limit_url=text("RATE_LIMIT_DATABASE_URL", url),
        pool_size=int(number("DB_POOL_SIZE", 8, 1, 100)),
        pool_timeout_seconds=number("DB_POOL_TIMEOUT_SECONDS", 5, 0.01, 60),
    )


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The disk that the database is on, where it is this machine's. `make serve` sets both.

    STORAGE_FOLDER               a folder on it; default none: the database is elsewhere
    STORAGE_RESERVE_MIB          room that is kept free for the database itself, in MiB; default 1056
    """

    folder: str
    reserve_bytes: int


@cache
def storage_settings() -> StorageSettings:
    """Read where the database's disk is. Raises InvalidSetting."""
    return StorageSettings(text("STORAGE_FOLDER"), int(number("STORAGE_RESERVE_MIB", 1056, 1, 1_000_000)) * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class PasswordSettings:
    """How passwords of new accounts are stored.

    LEGACY_PASSWORD_HASH         true: also as the original backend stores them, so that both can run on one database;
                                 default false (the PBKDF2 hash costs about 190 ms of CPU)
    """

    legacy_hash: bool


@cache
def password_settings() -> PasswordSettings:
    """Read the passwords' settings. Raises InvalidSetting."""
    return PasswordSettings(legacy_hash=flag("LEGACY_PASSWORD_HASH"))
