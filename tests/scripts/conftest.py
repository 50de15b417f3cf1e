"""The gcloud of the scripts' tests: the real one, in one process for each worker."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.fake_cloud import GCLOUD, GCLOUD_FOLDER
from tests.scripts.gcloud_server import client, starter


@pytest.fixture(scope="session", autouse=True)
def gcloud() -> Iterator[None]:
    """Put gcloud's name before the wrapper that would start it anew each time."""
    if GCLOUD is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="liftlog-gcloud-") as folder:
        path = Path(folder) / "socket"
        with subprocess.Popen([GCLOUD, path], env=os.environ | starter(), stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline(), "gcloud does not start"
            program = Path(folder) / "gcloud"
            program.write_text(client(path))
            program.chmod(0o755)
            os.environ[GCLOUD_FOLDER] = folder
            yield
            del os.environ[GCLOUD_FOLDER]
            server.kill()
