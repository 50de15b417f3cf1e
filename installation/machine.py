"""The machine that is installed on: its files, below a root that may be another one, and its programs.

Everything that changes it goes through here, so that a dry run shows each step and does none.
"""

import os
import pwd
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from installation.errors import NotInstalled

ACCOUNT = "liftlog"


class Machine:
    """Does what changes the machine, one line a step. Files that are as wanted already are no step."""

    def __init__(self, root: Path, *, dry_run: bool) -> None:
        """`root`: files go below it, and neither accounts nor packages are made, where it is not `/`."""
        self.root = root
        self.dry_run = dry_run
        self.is_real = root == Path("/")
        self._former: dict[str, tuple[str, int] | None] = {}  # content and mode, before this run wrote

    def path(self, place: str) -> Path:
        """Return where an absolute path of the installation is now."""
        return self.root / place.removeprefix("/")

    def write(self, place: str, content: str, mode: int = 0o644) -> bool:
        """Bring a file into place at once, or not at all. Return whether it was another one."""
        path = self.path(place)
        former = (path.read_text(), path.stat().st_mode & 0o7777) if path.exists() else None
        if former and former[0] == content:
            return False
        self._step(f"write {place}")
        if self.dry_run:
            return True
        self._former.setdefault(place, former)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.new")
        unfinished.touch(mode=mode)
        unfinished.write_text(content)
        unfinished.chmod(mode)
        unfinished.replace(path)
        return True

    def put_back(self) -> None:
        """Give every file that was written since the start its former content."""
        for place, former in list(self._former.items()):
            if former is None:
                self.remove(place)
            else:
                self.write(place, *former)
        self._former.clear()

    def remove(self, place: str) -> None:
        """Remove a file, a link, or a folder with all that is in it; nothing happens where there is none."""
        path = self.path(place)
        if not path.is_symlink() and not path.exists():
            return
        self._step(f"remove {place}")
        if self.dry_run:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def folder(self, place: str, mode: int, *, of_account: bool = False) -> None:
        """Make a folder where it is missing, and give it to the account if that is wanted."""
        path = self.path(place)
        if path.is_dir():
            return
        self._step(f"make the folder {place}")
        if self.dry_run:
            return
        path.mkdir(parents=True)
        path.chmod(mode)
        if of_account and self.is_real:
            shutil.chown(path, ACCOUNT, ACCOUNT)

    def link(self, place: str, target: str) -> None:
        """Let a symbolic link lead to a target; it is never missing meanwhile."""
        path = self.path(place)
        if path.is_symlink() and os.readlink(path) == target:  # noqa: PTH115 - a Path would lose what is relative
            return
        self._step(f"let {place} lead to {target}")
        if self.dry_run:
            return
        unfinished = path.with_name(f".{path.name}.new")
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(target)
        unfinished.replace(path)

    def copy_for_account(self, file: Path, copy: Path) -> None:
        """Copy a file into a folder of the account's, for the account alone. Raises OSError.

        What the account may have put there in the meantime, say a link to somewhere else, is not followed.
        """
        copy.unlink(missing_ok=True)
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as target, file.open("rb") as source:
            if self.is_real:
                account = pwd.getpwnam(ACCOUNT)
                os.fchown(descriptor, account.pw_uid, account.pw_gid)
            shutil.copyfileobj(source, target)

    def run(self, *command: str | Path, why: str) -> None:
        """Run a program that changes the machine. Raises NotInstalled with the end of what it said.

        `why`: what was not done if it fails, and what mends it.
        """
        words = [str(word) for word in command]
        self._step(f"run {shlex.join(words)}")
        if self.dry_run:
            return
        try:
            outcome = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        except OSError as error:
            raise NotInstalled(f"{why}\n  {words[0]}: {error.strerror}") from None
        if outcome.returncode:
            said = "\n  ".join(outcome.stdout.strip().splitlines()[-10:])
            raise NotInstalled(f"{why}\n  {said}" if said else why)

    def run_as_account(self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> int:
        """Run a program of a release as the service's account, speaking to the same terminal. Return its status."""
        self._step(f"run {shlex.join(str(word) for word in command)} as {ACCOUNT}")
        if self.dry_run:
            return 0
        account = pwd.getpwnam(ACCOUNT) if self.is_real else None
        return subprocess.run(
            [str(word) for word in command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment},
            cwd=folder,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            umask=0o077,
            check=False,
        ).returncode

    def _step(self, text: str) -> None:
        print(f"  {'would ' if self.dry_run else ''}{text}", flush=True)
