"""`make export-account` and `make import-account`: an account as a document, from one server (BASE_URL) and to another.

Both take ID and FILE, and ask for the account's password (or read a line of standard input, where that is no terminal).
"""

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Any

import requests

from client.phone import ServerUnreachable, UnexpectedAnswer
from local.settings import client_settings

TIMEOUT_SECONDS = 120.0  # of silence: others may be moving before
_PIECE_BYTES = 1024 * 1024


def main() -> int:
    """Do what is asked for. Return the exit status."""
    parser = argparse.ArgumentParser(prog="make", description=__doc__)
    parser.add_argument("command", choices=["export-account", "import-account"])
    parser.add_argument("user_id", metavar="ID=…", help="the account's id")
    parser.add_argument("file", metavar="FILE=account.json", type=Path, help="the document")
    asked = parser.parse_args()
    base_url = client_settings().base_url
    try:
        password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
        if asked.command == "export-account":
            byte_count = export(base_url, asked.user_id, password, asked.file)
            print(f"{asked.file}: {byte_count:,} bytes. Whoever has it may follow you; it opens nothing else.")
        else:
            stored = import_from(base_url, asked.user_id, password, asked.file)
            counts = ", ".join(f"{number} {name}" for name, number in stored.items() if isinstance(number, int))
            print(f"The account is on {base_url} now: {counts}. Its lookup is {stored['lookup']}.")
    except (ServerUnreachable, UnexpectedAnswer, OSError) as error:
        print(f"make {asked.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def export(base_url: str, user_id: str, password: str, file: Path) -> int:
    """Put an account's document in place of a file, for its owner alone, whole or not at all. Return how long it is.

    Raises ServerUnreachable, UnexpectedAnswer, OSError.
    """
    body = {"id": user_id, "password": password}
    unfinished = file.with_name(f".{file.name}.part")
    try:
        with _ask(base_url, "/user/export", json=body) as answer:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                for piece in answer.iter_content(_PIECE_BYTES):  # fails where it is shorter than it was said to be
                    target.write(piece)
        unfinished.replace(file)
    except requests.RequestException as error:
        raise UnexpectedAnswer(f"the document was cut ({type(error).__name__}): {file} is as before") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return file.stat().st_size


def import_from(base_url: str, user_id: str, password: str, file: Path) -> dict[str, Any]:
    """Make the account that a document holds. Return how much was stored.

    Raises ServerUnreachable, UnexpectedAnswer, OSError.
    """
    with file.open("rb") as document, _ask(base_url, "/user/import", data=document, auth=(user_id, password)) as answer:
        stored: dict[str, Any] = answer.json()
    return stored


def _ask(base_url: str, path: str, **sent: Any) -> requests.Response:
    """Return the answer, whose body is still to come. Raises UnexpectedAnswer with what a refusal says."""
    try:
        answer = requests.post(base_url + path, stream=True, timeout=TIMEOUT_SECONDS, **sent)
    except requests.ConnectionError as error:
        raise ServerUnreachable(f"no server answers on {base_url}") from error
    except requests.RequestException as error:
        raise UnexpectedAnswer(f"{path} got no answer ({type(error).__name__})") from error
    if answer.ok:
        return answer
    with answer:
        raise UnexpectedAnswer(f"{answer.status_code}: {_reason(answer)}")


def _reason(answer: requests.Response) -> str:
    """Return what a problem says, and of which members."""
    try:
        problem = answer.json()
        faults = [f"{fault['field']} {fault['message']}" for fault in problem.get("errors", [])]
        return f"{problem['title']} {'; '.join(faults)}".rstrip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return "no word of ours"


if __name__ == "__main__":
    sys.exit(main())
