"""Whom the embedded PostgreSQL runs as: ourselves, or for root, as whom it refuses to run, another account.

That account then needs its own files, and a way through folders that may be closed to everybody but root.
"""

import os
import pwd
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FOR_ROOT = "liftlog-postgres"
_PASS = stat.S_IXOTH
_READ = stat.S_IROTH


class NoAccount(Exception):
    """There is nobody that PostgreSQL could run as; the message says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that PostgreSQL runs as; None means our own."""

    uid: int | None
    gid: int | None

    def own(self, folder: Path) -> None:
        """Make a folder and all in it the account's, closed to others as PostgreSQL wants it.

        A copy that root made with `cp -r` is root's.
        """
        folder = folder.resolve()
        folder.chmod(0o700)
        if self.uid is None or self.gid is None:
            return
        for path in [folder, *folder.rglob("*")]:
            with suppress(FileNotFoundError):  # of a server that died and whose processes are still ending
                if path.lstat().st_uid != self.uid:
                    os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def open_way(self, *paths: Path) -> None:
        """Let the account pass through the folders that lead to some paths; it can list none of them."""
        if self.uid is None:
            return
        folders = {folder for path in paths for folder in [*path.parents, *path.resolve().parents]}
        for folder in filter(Path.exists, sorted(folders)):
            mode = folder.stat().st_mode
            if not mode & _PASS:
                print(
                    f"Letting other accounts pass through {folder} (chmod o+x): PostgreSQL does not run as root",
                    flush=True,
                )
                folder.chmod(mode | _PASS)

    def let_read(self, tree: Path) -> None:
        """Let the account read and run what was installed by a root that keeps what it writes to itself (umask 077)."""
        if self.uid is None or not tree.exists() or tree.stat().st_mode & _READ:
            return
        for path in [*tree.rglob("*"), tree]:
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | _READ | (_PASS if mode & stat.S_IXUSR else 0))


def account_for(files: Path) -> Account:
    """Return whom PostgreSQL runs as: the owner of its files. Raises NoAccount if that is neither us nor up to us."""
    owner = files.stat().st_uid if files.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise NoAccount(f"{files} belongs to another account; choose another DATA_DIR")
        return Account(None, None)
    return Account(owner, _group_of(owner)) if owner else _account_for_root()


def _group_of(uid: int) -> int:
    """Return an account's own group, and never root's.

    As a member of root's group it would be held to what root's folders give the group, often nothing, and what they
    give others would not count.
    """
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_gid or uid
    return uid  # the files come from another machine


def _account_for_root() -> Account:
    """Return the account that stands in for root, after making it where it is missing. Raises NoAccount."""
    with suppress(KeyError):
        return _named(FOR_ROOT)
    with suppress(FileNotFoundError):  # its status does not count: another process may have made the account meanwhile
        subprocess.run(["useradd", "--system", "--shell", "/usr/sbin/nologin", FOR_ROOT], check=False)
    try:
        return _named(FOR_ROOT)
    except KeyError:
        raise NoAccount("PostgreSQL does not run as root; run this from another account") from None


def _named(name: str) -> Account:
    uid = pwd.getpwnam(name).pw_uid
    return Account(uid, _group_of(uid))
