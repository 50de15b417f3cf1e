"""Writes backups of the database when the page at /admin asks for one, which runs no program itself."""

import os
import subprocess
import sys
from pathlib import Path

from local.backups import new_name
from shared.dump_folder import FAILED, WANTED


class Dumper:
    """One backup at a time, each in a process of its own."""

    def __init__(self, folder: Path, database_url: str) -> None:
        """Makes the folder. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._environment = os.environ | {"DATABASE_URL": database_url}
        self._process: subprocess.Popen[str] | None = None

    def work(self) -> None:
        """Begin a backup if one is wanted, or see to one that has ended. Waits for neither, and raises nothing.

        What is wanted is wanted until it has ended: also when the server ended before.
        """
        try:
            self._step(self._folder / WANTED)
        except OSError as error:  # a disk that is full, a folder that is gone: no reason for the server to end
            print(f"backups of the database: {error.strerror}", file=sys.stderr, flush=True)

    def _step(self, wanted: Path) -> None:
        if self._process is None:
            if wanted.exists():
                self._process = self._begin()
        elif self._process.poll() is not None:
            ended, self._process = self._process, None
            _, said = ended.communicate()
            wanted.unlink(missing_ok=True)
            self._report(said.strip() if ended.returncode else "")

    def _begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "local.backups", "backup", str(self._folder / new_name())],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # a line, if anything
            text=True,
        )

    def _report(self, fault: str) -> None:
        """Keep why a backup was not written, "" if it was."""
        failed = self._folder / FAILED
        if fault:
            print(fault, file=sys.stderr, flush=True)
            failed.write_text(fault.rpartition("\n")[2].removeprefix("make backup: "))
        else:
            failed.unlink(missing_ok=True)
