"""The end of a process on SIGTERM, of any function."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from shared import ending
from tests.servers import Server
from tests.waiting import GUNICORNS_OWN_SECONDS, WAIT_SECONDS, wait_for

pytestmark = pytest.mark.slow
MAIN = Path(__file__).parent.parent / "endings" / "main.py"


@pytest.fixture
def output(tmp_path):
    with (tmp_path / "stdout").open("w+b") as file:
        yield file


@pytest.fixture(params=["66", "1"], ids=["threads", "one thread"])
def server(request, output):
    """A function in gunicorn's threaded worker, and in its other one."""
    server = Server("hang", source=MAIN, stdout=output, THREADS=request.param)
    assert requests.get(server.url, timeout=WAIT_SECONDS).text == "done"
    yield server
    server.stop()


def lines(output):
    output.seek(0)
    return output.read().decode().splitlines()


def test_what_was_asked_for_is_done_once_and_in_order(server, output):
    server.process.terminate()
    server.process.terminate()
    assert server.process.wait(WAIT_SECONDS) == 0
    assert lines(output) == ["first", "second"]


def test_a_request_that_hangs_puts_the_end_off_only_so_long(server, output):
    with ThreadPoolExecutor() as executor:
        hanging = executor.submit(requests.get, f"{server.url}/forever", timeout=WAIT_SECONDS)
        wait_for(lambda: "hangs" in lines(output))
        began = time.monotonic()
        workers = psutil.Process(server.process.pid).children()
        server.process.terminate()
        wait_for(lambda: "second" in lines(output))
        for worker in workers:
            worker.terminate()  # again, while it ends
        assert server.process.wait(WAIT_SECONDS) == 0
        assert 1 < time.monotonic() - began < GUNICORNS_OWN_SECONDS
        assert isinstance(hanging.exception(), requests.ConnectionError)
    assert lines(output) == ["hangs", "first", "second"]


def test_the_cloud_would_kill_it_after_ten_seconds():
    assert ending.LONGEST_SECONDS <= 8
