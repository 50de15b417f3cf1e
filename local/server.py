"""What every server of ours on a laptop does: its database, its port, its secrets, its signals, its hourly cleanup."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

import migrations
from local.children import die_with_parent
from local.databases import own_database
from local.postgres import DataDirInUse, EmbeddedPostgres, PostgresFailed
from local.secrets import CHAT_KEY, OPERATOR_KEY, WEB_KEY, kept_secret
from local.settings import LocalSettings, local_settings
from migrations import MigrationBusy
from shared.errors import DatabaseUnavailable, InvalidSetting

PORT_WAIT_SECONDS = 5.0  # a gateway that was killed a moment ago may still be letting go
CLEANUP_SECONDS = 3600.0
CHECK_SECONDS = 0.2
_RESTART_PAUSE_SECONDS = 1.0


class Stopping(BaseException):
    """SIGTERM or Ctrl-C has arrived."""


class CannotServe(Exception):
    """The server cannot start, or cannot go on; the message says why."""


def run(command: str, serve: Callable[[LocalSettings, ExitStack], None]) -> int:
    """Serve until a signal comes, and end what `serve` has started, the last first. Return the exit status."""
    status = 0
    with ExitStack() as started:
        try:
            _on_signals(_stop)
            serve(local_settings(), started)
        except Stopping:
            pass
        except (CannotServe, InvalidSetting, DataDirInUse, PostgresFailed, DatabaseUnavailable, MigrationBusy) as error:
            print(f"{command}: {error}", file=sys.stderr, flush=True)
            status = 1
        finally:
            _on_signals(_ignore)
    _on_signals(signal.SIG_IGN)  # the interpreter gives up our handlers before it ends
    return status


def start_database(settings: LocalSettings, started: ExitStack) -> tuple[str, EmbeddedPostgres | None]:
    """Return the URL of the database in its newest schema, and the server if it is the embedded one."""
    url, postgres = own_database(settings, started)
    migrations.upgrade(url, rate_limit_url=settings.rate_limit_database_url)
    return url, postgres


def _on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, handler)


def _stop(_number: int, _frame: FrameType | None) -> None:
    _on_signals(_ignore)  # one is enough: `make` and its terminal send each of theirs
    raise Stopping


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """The end has begun, and ends by itself."""


def base_url(settings: LocalSettings) -> str:
    """Return where the server answers."""
    host = "localhost" if settings.host.startswith(("127.", "0.", "::")) else settings.host  # also "any address"
    return f"http://{host}:{settings.port}"


def wait_for_port(settings: LocalSettings) -> None:
    """Wait until nobody else listens on the port. Raises CannotServe if somebody goes on."""
    deadline = time.monotonic() + PORT_WAIT_SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, settings.port))
            except OSError as error:
                if time.monotonic() > deadline:
                    raise CannotServe(f"cannot listen on port {settings.port}: {error.strerror}; set PORT") from None
            else:
                return
        time.sleep(CHECK_SECONDS)


def supervisor() -> Callable[[], None]:
    """Return what tells whoever started us that we answer: systemd, of a service of Type=notify (sd_notify(3)).

    To be called before children are started, which would take NOTIFY_SOCKET for theirs: gunicorn does.
    """
    address = os.environ.pop("NOTIFY_SOCKET", "")

    def tell() -> None:
        if address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
                notifying.sendto(b"READY=1", address.replace("@", "\0", 1) if address.startswith("@") else address)

    return tell


def local_secrets(settings: LocalSettings) -> dict[str, str]:
    """Return the secrets that a local installation makes for itself unless it is given them. Raises CannotServe."""
    kept = {"CHAT_TOKEN_KEY": CHAT_KEY, "LOCAL_OPERATOR_TOKEN": OPERATOR_KEY, "WEB_AUTH_API_KEY": WEB_KEY}
    try:
        return {name: os.environ.get(name) or kept_secret(settings.data_dir, file) for name, file in kept.items()}
    except OSError as error:
        raise CannotServe(f"cannot use DATA_DIR {settings.data_dir}: {error.strerror}") from None


class Cleaner:
    """Calls the cleanup once an hour, as Cloud Scheduler does in the cloud, in a process of its own."""

    def __init__(self, base_url: str, operator_token: str | None = None) -> None:
        token = os.environ.get("OPERATOR_TOKEN") or operator_token or ""
        self._environment = {**os.environ, "BASE_URL": base_url, "OPERATOR_TOKEN": token}
        self._due_at = time.monotonic() + CLEANUP_SECONDS
        self._process: subprocess.Popen[bytes] | None = None

    def clean_if_due(self) -> None:
        """Begin a run if it is time, and the last one is over."""
        if time.monotonic() < self._due_at or (self._process is not None and self._process.poll() is None):
            return
        self._due_at = time.monotonic() + CLEANUP_SECONDS
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.cleanup"],
            env=self._environment,
            stdout=subprocess.DEVNULL,  # what it does is in the gateway's log, too
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads here
        )


def revive(postgres: EmbeddedPostgres | None) -> None:
    """Start the embedded database again if it has died."""
    if postgres is None or postgres.is_running():
        return
    print("The embedded database died; starting it again", file=sys.stderr, flush=True)
    try:
        postgres.start()
    except PostgresFailed as error:
        print(error, file=sys.stderr, flush=True)
        time.sleep(_RESTART_PAUSE_SECONDS)
