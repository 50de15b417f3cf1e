"""Trials: the tests of a mutant, run in a throw-away copy of the tree, in which its line is broken."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from local.postgres import EmbeddedPostgres
from tests.databases import Admin
from tests.mutants.catalogue import Mutant

MAX_CONNECTIONS = 600
LONGEST_SECONDS = 180.0  # a broken line may make a test wait for ever, which is noticed too
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", "node_modules", ".data", ".terraform", "dist", ".*_cache", ".hypothesis"
)
LINKED = (".venv", "tests/signalr/node_modules")  # made by `make`, and not of the project's own


class Verdict(StrEnum):
    """What the tests make of a mutant."""

    NOTICED = "noticed"
    UNNOTICED = "UNNOTICED"
    INVALID = "INVALID"  # nothing was tested


VERDICTS = {  # by pytest's exit code, None if it did not come to an end
    0: Verdict.UNNOTICED,
    1: Verdict.NOTICED,
    2: Verdict.NOTICED,  # a module that cannot be imported any more
    4: Verdict.NOTICED,  # the same, where one test of it was named
    None: Verdict.NOTICED,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant, and what its tests said."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    by: str  # the first test that failed, else the end of what pytest printed


class Copy:
    """A copy of the tree. What runs in it imports its code: PYTHONPATH comes before the editable installation."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = folder / "tree"
        self._scratch = folder / "tmp"
        self._second = time.time()
        shutil.copytree(root, self.root, ignore=NOT_COPIED, symlinks=True)
        for name in LINKED:
            if (root / name).exists():
                (self.root / name).symlink_to(root / name)
        self._scratch.mkdir()
        for each in (folder, self._scratch):
            each.chmod(0o711)  # PostgreSQL's account passes through

    def try_out(self, mutant: Mutant) -> Trial:
        """Break the line, run the tests, and mend it."""
        path = self.root / mutant.file
        text = path.read_text()
        self._write(path, mutant.broken(text))
        start = time.monotonic()
        try:
            status, output = self.run(mutant.tests, "-x")
        finally:
            self._write(path, text)
        return Trial(mutant, VERDICTS.get(status, Verdict.INVALID), time.monotonic() - start, _first_failure(output))

    def _write(self, path: Path, text: str) -> None:
        """Write a file, a second later than the last one: by that Python knows that what it has compiled is stale."""
        path.write_text(text)
        self._second += 1
        os.utime(path, (self._second, self._second))

    def run(
        self, tests: Sequence[str], *options: str, seconds: float | None = LONGEST_SECONDS
    ) -> tuple[int | None, str]:
        """Run tests; return pytest's exit code, None if they did not come to an end in time, and what it printed."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-rfE", "--tb=line", *options, *tests],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root), "TMPDIR": str(self._scratch)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None, "it did not come to an end"
        finally:
            _end(process)
        return process.returncode, output


@contextmanager
def copies(root: Path, count: int) -> Iterator[list[Copy]]:
    """Make copies of the tree, and remove them in the end."""
    with TemporaryDirectory(prefix="liftlog-mutants-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        made = []
        for number in range(count):
            own = Path(folder) / str(number)
            own.mkdir()
            made.append(Copy(root, own))
        yield made


@contextmanager
def database_server() -> Iterator[None]:
    """Start one database server for all trials: to start one takes longer than most tests."""
    with TemporaryDirectory(prefix="liftlog-mutants-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL's account passes through
        postgres = EmbeddedPostgres(Path(folder), max_connections=MAX_CONNECTIONS)
        try:
            postgres.start()
            with closing(Admin(postgres.url)) as admin:
                admin.create_function_users()
            os.environ["TEST_DATABASE_URL"] = postgres.url
            yield
        finally:
            postgres.stop()


def _end(process: subprocess.Popen[str]) -> None:
    """End whatever is left of the tests; what lives in a session of its own ends with its parent."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _first_failure(output: str) -> str:
    lines = output.strip().splitlines()
    failures = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    found = (failures or lines or [""])[0 if failures else -1]
    return found.partition(" - ")[0].removeprefix("FAILED ").removeprefix("ERROR ").rpartition("::")[2]
