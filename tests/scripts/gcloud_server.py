"""gcloud in one process: what is slow about it, half a second to a second of each command, is reading its code.

This runs in gcloud's own Python, started by gcloud's own wrapper, and is told that way where gcloud's code lies. It
reads the code once; each command is a fork in which gcloud's `main` runs as it always does, with the caller's
arguments, environment, folder and open files. A small program with gcloud's name hands them over.
"""

import atexit
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

ALSO_READ = ("surface.run.deploy", "surface.functions.deploy", "googlecloudsdk.api_lib.storage.api_factory")
CLIENT = """#!{python} -SE
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
socket.send_fds(server, [b"!"], [0, 1, 2])
server.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode())
server.shutdown(socket.SHUT_WR)
sys.exit(int(server.makefile().read()))
"""


def client(path: Path) -> str:
    """Return the small program that hands its call to the server on a socket."""
    return CLIENT.format(python=sys.executable, path=str(path))


def starter() -> dict[str, str]:
    """Return the environment in which gcloud's wrapper starts this file: its argument is the socket's path."""
    return {"CLOUDSDK_PYTHON_ARGS": f"-S {__file__}"}


def serve(code: str, path: str) -> None:
    """Answer on a socket until the process is ended. `code`: gcloud.py, as the wrapper would run it."""
    sys.argv[:] = [code]
    main = runpy.run_path(code, run_name="gcloud")["main"]
    import_module("googlecloudsdk.gcloud_main").CreateCLI([])
    for name in ALSO_READ:
        with suppress(ImportError):  # another version of gcloud reads it when a command needs it
            import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        os.write(sys.stdout.fileno(), b"ready\n")
        while True:
            caller, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(caller, main)
            caller.close()


def _answer(caller: socket.socket, main: Callable[[], None]) -> None:
    """Run one command, tell the caller its status, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(caller, 1, 3)
    arguments, environment, folder = json.loads(caller.makefile().read())
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    caller.sendall(str(_status(main)).encode())
    os._exit(0)


def _status(main: Callable[[], None]) -> int:
    status: object = None
    try:
        main()
    except SystemExit as end:
        status = end.code
    except BaseException:  # as the interpreter does at the end of a program
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else int(status is not None)


if __name__ == "__main__":
    serve(*sys.argv[1:])
