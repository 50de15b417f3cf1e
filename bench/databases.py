"""The database of a measurement: embedded PostgreSQL in a temporary folder, migrated."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import migrations
from local.postgres import EmbeddedPostgres


@dataclass(frozen=True, slots=True)
class Measured:
    """A running database, and the folder in which everything of it is."""

    postgres: EmbeddedPostgres
    folder: Path

    @property
    def url(self) -> str:
        return self.postgres.url

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])


@contextmanager
def measured_database() -> Iterator[Measured]:
    """Run a database of one's own for a while; nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="liftlog-bench-") as path:
        folder = Path(path)
        folder.chmod(0o711)  # PostgreSQL may run as another account
        postgres = EmbeddedPostgres(folder)
        try:
            postgres.start()
            migrations.upgrade(postgres.url)
            yield Measured(postgres, folder)
        finally:
            postgres.stop()
