"""Settings: one frozen dataclass per concern, read from the environment once, at first use."""

import os
from dataclasses import dataclass
from functools import cache

from shared.errors import InvalidSetting


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the database is and how it may be used.

    DATABASE_URL                 postgresql://user:password@host:port/name?sslmode=…, or ?host=/socket/folder; required
    DB_POOL_SIZE                 most connections of one process, 1 to 100; default 8
    DB_POOL_TIMEOUT_SECONDS      longest wait for a free connection; default 5
    """

    url: str
    pool_size: int
    pool_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class PasswordSettings:
    """How passwords of new accounts are stored.

    LEGACY_PASSWORD_HASH         true: also as the original backend stores them, so that both can run on one database;
                                 default false (the PBKDF2 hash costs about 190 ms of CPU)
    """

    legacy_hash: bool


def _number(name: str, default: float, least: float, most: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise InvalidSetting(f"{name} must be a number from {least:g} to {most:g}")
    return value


def _flag(name: str) -> bool:
    text = os.environ.get(name, "").lower()
    if text not in {"", "true", "false"}:
        raise InvalidSetting(f"{name} must be true or false")
    return text == "true"


@cache
def database_settings() -> DatabaseSettings:
    """Read the database's settings. Raises InvalidSetting."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        raise InvalidSetting("DATABASE_URL is not set: postgresql://user:password@host:port/name")
    return DatabaseSettings(
        url=url,
        pool_size=int(_number("DB_POOL_SIZE", 8, 1, 100)),
        pool_timeout_seconds=_number("DB_POOL_TIMEOUT_SECONDS", 5, 0.01, 60),
    )


@cache
def password_settings() -> PasswordSettings:
    """Read the passwords' settings. Raises InvalidSetting."""
    return PasswordSettings(legacy_hash=_flag("LEGACY_PASSWORD_HASH"))
