"""Settings of the local commands. What the functions themselves read is in `shared.settings`."""

import os
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InvalidSetting
from shared.settings.reading import number

HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Where and on what the development server runs.

    PORT                      TCP port of the gateway; default 8080
    HOST                      address it listens on; default 127.0.0.1, 0.0.0.0 lets phones in the same network reach it
    DATA_DIR                  folder of the embedded database; default .data
    DATABASE_URL              another PostgreSQL (15 or newer) instead of the embedded one
    RATE_LIMIT_DATABASE_URL   where the rate limits are; default the same database
    DUMPS_KEEP                for so many days a nightly dump stays, 1 to 10 000; default 14
    """

    port: int
    host: str
    data_dir: Path
    database_url: str | None
    rate_limit_database_url: str | None
    dumps_keep: int

    @property
    def dumps_folder(self) -> Path:
        """Where dumps of the database lie: those of the night, and those that /admin asks for."""
        return self.data_dir / "dumps"


def local_settings() -> LocalSettings:
    """Read the settings from the environment. Raises InvalidSetting."""
    port = os.environ.get("PORT") or "8080"
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= HIGHEST_PORT):
        raise InvalidSetting("PORT must be a number from 1 to 65535")
    return LocalSettings(
        port=int(port),
        host=os.environ.get("HOST") or "127.0.0.1",
        data_dir=Path(os.environ.get("DATA_DIR") or ".data").resolve(),
        database_url=os.environ.get("DATABASE_URL") or None,
        rate_limit_database_url=os.environ.get("RATE_LIMIT_DATABASE_URL") or None,
        dumps_keep=int(number("DUMPS_KEEP", 14, 1, 10_000)),
    )


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Which running server the demo, the chat and the cleanup talk to, and as whom.

    BASE_URL                  address of the server; default http://localhost:8080
    OPERATOR_TOKEN            the server's, for the private routes
    PUBLIC_URL                address that phones reach it by, to be told; default https://(your host)
    """

    base_url: str
    operator_token: str
    public_url: str


def client_settings() -> ClientSettings:
    """Read where the server is from the environment."""
    base_url = (os.environ.get("BASE_URL") or "http://localhost:8080").rstrip("/")
    public_url = (os.environ.get("PUBLIC_URL") or "https://(your host)").rstrip("/")
    return ClientSettings(base_url, os.environ.get("OPERATOR_TOKEN", ""), public_url)
