"""A function that hangs when it is asked to, in a process that is given one second to end."""

import threading

import functions_framework
from flask import Request

from shared import ending


def say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 - the test reads it


ending.LONGEST_SECONDS = 1.0
ending.at_end(lambda: say("first"))
ending.at_end(lambda: say("second"))


@functions_framework.http
def hang(request: Request) -> str:
    if request.path == "/forever":
        say("hangs")
        threading.Event().wait()
    return "done"
