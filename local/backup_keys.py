"""`make backup-key USER=name`: has a running server (BASE_URL) make a name's key for backups, and shows it once.

A new key takes the place of the one before; the backups stay.
"""

import argparse
import sys
from urllib.parse import quote

from local import operators
from local.settings import client_settings

ANSWER_SECONDS = 30.0


def main() -> int:
    """Ask for a key, and print what to type into the app. Return the exit status."""
    parser = argparse.ArgumentParser(prog="make backup-key", description=__doc__)
    parser.add_argument("user", metavar="USER=name", help="1 to 64 of letters, digits and ._-")
    user = parser.parse_args().user
    try:
        made = operators.ask("/backup-key", {"user": user}, ANSWER_SECONDS)
    except operators.NotDone as error:
        print(f"make backup-key: {error}", file=sys.stderr)
        return 1
    if made["replaces"]:
        print("The key before is of no more use.")
    print(
        "Type this into the app: Settings, Export, Backup, and Restore, Automatic Remote Backup. It is shown this once."
    )
    print(f"  Endpoint  {client_settings().public_url}/backup?user={quote(made['user'])}")
    print(f"  Api Key   {made['key']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
