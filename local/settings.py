"""Settings of the local commands. What the functions themselves read is in `shared.settings`."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Where and on what the development server runs.

    PORT            TCP port of the gateway; default 8080
    HOST            address it listens on; default 127.0.0.1, 0.0.0.0 lets phones in the same network reach it
    DATA_DIR        folder of the embedded database; default .data
    DATABASE_URL    another PostgreSQL (15 or newer) instead of the embedded one
    """

    port: int
    host: str
    data_dir: Path
    database_url: str | None


def local_settings() -> LocalSettings:
    """Read the settings from the environment."""
    return LocalSettings(
        port=int(os.environ.get("PORT") or 8080),
        host=os.environ.get("HOST") or "127.0.0.1",
        data_dir=Path(os.environ.get("DATA_DIR") or ".data").resolve(),
        database_url=os.environ.get("DATABASE_URL") or None,
    )
