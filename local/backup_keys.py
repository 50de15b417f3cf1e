"""`make backup-key USER=name`: has a running server (BASE_URL) make a name's key for backups, and shows it once.

A new key takes the place of the one before; the backups stay.
"""

import argparse
import sys
from urllib.parse import quote

import requests

from local.settings import client_settings

ANSWER_SECONDS = 30.0


def main() -> int:
    """Ask for a key, and print what to type into the app. Return the exit status."""
    parser = argparse.ArgumentParser(prog="make backup-key", description=__doc__)
    parser.add_argument("user", metavar="USER=name", help="1 to 64 of letters, digits and ._-")
    user = parser.parse_args().user
    settings = client_settings()
    try:
        answer = requests.post(
            f"{settings.base_url}/backup-key",
            json={"user": user},
            headers={"Authorization": f"Bearer {settings.operator_token}"} if settings.operator_token else {},
            timeout=ANSWER_SECONDS,
        )
    except requests.RequestException as error:
        print(f"make backup-key: {settings.base_url} does not answer: {type(error).__name__}", file=sys.stderr)
        return 1
    if not answer.ok:
        problem = answer.json()
        why = "; ".join(f"{fault['field']} {fault['message']}" for fault in problem.get("errors", ()))
        print(f"make backup-key: {answer.status_code} {problem.get('title', '')} {why}".rstrip(), file=sys.stderr)
        return 1
    made = answer.json()
    if made["replaces"]:
        print("The key before is of no more use.")
    print(
        "Type this into the app: Settings, Export, Backup, and Restore, Automatic Remote Backup. It is shown this once."
    )
    print(f"  Endpoint  https://(your host)/backup?user={quote(made['user'])}")
    print(f"  Api Key   {made['key']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
