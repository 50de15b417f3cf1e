"""The development server: embedded PostgreSQL (or DATABASE_URL), its schema, and the gateway, until Ctrl-C or SIGTERM.

The gateway runs in functions-framework, as it does in the cloud. If the embedded database dies it is started again; if
the gateway dies the server ends.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from urllib.error import URLError

from local import processes
from local.dumper import Dumper
from local.postgres import EmbeddedPostgres
from local.server import (
    CHECK_SECONDS,
    CannotServe,
    Cleaner,
    base_url,
    local_secrets,
    revive,
    run,
    start_database,
    supervisor,
    wait_for_port,
)
from local.settings import LocalSettings
from shared.settings.planner import chat_settings, threads_with_chats

GATEWAY = Path(__file__).parent.parent / "functions" / "gateway" / "main.py"
START_SECONDS = 60.0
DELETION_MIB = 256  # what the log grows by while the largest account is deleted: each page of it is in it once
STOP_SECONDS = 4.0  # for requests under way; the database then takes up to 3 s more


def main() -> int:
    """Serve until a signal comes. Return the exit status."""
    return run("make serve", _serve)


def _serve(settings: LocalSettings, started: ExitStack) -> None:
    tell_supervisor = supervisor()
    os.environ.setdefault("THREADS", str(threads_with_chats()))
    chat_settings()  # in the gateway, too few threads would be a traceback
    wait_for_port(settings)
    url, postgres = start_database(settings, started)
    secrets = local_secrets(settings)
    backups = _backups(settings)
    dumper = _dumper(Path(backups["DATABASE_DUMP_FOLDER"]), url)
    gateway = _start_gateway(settings, url, secrets | _disk(settings, postgres) | backups | _scratch(settings))
    started.callback(processes.end, gateway, STOP_SECONDS)
    _wait_for_answer(settings, gateway)
    print(f"LiftLog answers on {base_url(settings)} (Ctrl-C ends it)", flush=True)
    tell_supervisor()
    cleaner = Cleaner(base_url(settings), secrets["LOCAL_OPERATOR_TOKEN"])
    _watch(gateway, postgres, cleaner, dumper)


def _disk(settings: LocalSettings, postgres: EmbeddedPostgres | None) -> dict[str, str]:
    """Return how the gateway finds out that the embedded database's disk is nearly full."""
    if postgres is None:
        return {}
    half_mib = shutil.disk_usage(settings.data_dir).total // 2**21
    reserve = os.environ.get("STORAGE_RESERVE_MIB") or str(min(postgres.log_mib + DELETION_MIB, half_mib))
    return {"STORAGE_FOLDER": str(settings.data_dir), "STORAGE_RESERVE_MIB": reserve}


def _backups(settings: LocalSettings) -> dict[str, str]:
    """Return where backups of phones are kept, which nobody stores before there is a key, and those of the database."""
    of_database = os.environ.get("DATABASE_DUMP_FOLDER") or str(settings.dumps_folder)
    of_phones = os.environ.get("BACKUP_STORE") or (settings.data_dir / "phone-backups").as_uri()
    return {"BACKUP_STORE": of_phones, "DATABASE_DUMP_FOLDER": of_database}


def _dumper(folder: Path, url: str) -> Dumper:
    """Return who writes the backups of the database that are asked for. Raises CannotServe."""
    try:
        return Dumper(folder, url)
    except OSError as error:
        raise CannotServe(f"cannot use DATABASE_DUMP_FOLDER {folder}: {error.strerror}") from None


def _scratch(settings: LocalSettings) -> dict[str, str]:
    """Return where the gateway keeps uploads until they are stored: on the data's disk, as /tmp may be memory."""
    folder = settings.data_dir / "scratch"
    folder.mkdir(mode=0o700, exist_ok=True)
    return {"TMPDIR": os.environ.get("TMPDIR") or str(folder)}


def _start_gateway(settings: LocalSettings, database_url: str, further: dict[str, str]) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        **further,
        "DATABASE_URL": database_url,
        "ENVIRONMENT": os.environ.get("ENVIRONMENT", "local"),
    }
    one_cpu = environment.get("WORKERS", "1") == "1"
    return processes.start("gateway", GATEWAY, (settings.host, settings.port), environment, one_cpu=one_cpu)


def _wait_for_answer(settings: LocalSettings, gateway: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and gateway.poll() is None:
        try:
            with urllib.request.urlopen(f"{base_url(settings)}/health", timeout=1):  # noqa: S310 # nosec B310
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise CannotServe("the gateway does not answer; its messages are above")


def _watch(
    gateway: subprocess.Popen[bytes], postgres: EmbeddedPostgres | None, cleaner: Cleaner, dumper: Dumper
) -> None:
    """Return never: start the database again whenever it dies. Raises CannotServe when the gateway has died."""
    while gateway.poll() is None:
        cleaner.clean_if_due()
        dumper.work()
        revive(postgres)
        time.sleep(CHECK_SECONDS)
    raise CannotServe(f"the gateway ended with status {gateway.returncode}")


if __name__ == "__main__":
    sys.exit(main())
