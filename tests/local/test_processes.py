"""Functions as child processes: they end with all that they have started."""

import subprocess
import sys

import psutil

from local import processes

# A process that is deaf to SIGTERM, as is the one that it has started.
DEAF = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


def start(code):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)


def test_what_does_not_end_when_asked_is_ended_with_all_that_it_started():
    with start(DEAF) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        processes.end(process, 0.1)
        assert process.returncode < 0
        psutil.wait_procs([child], 10)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_what_ends_when_asked_is_given_its_time():
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(flush=True); signal.pause()"
    )
    with start(code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        processes.end(process, 10)
        assert process.returncode == 7


def test_one_that_has_ended_is_no_error():
    with start("pass") as process:
        process.wait()
        processes.end(process, 10)


def test_nobody_listens_where_a_process_has_ended():
    with start("pass") as process:
        assert not processes.wait_until_listening(process, ("127.0.0.1", processes.free_port()))
