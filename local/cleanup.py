"""`make cleanup`: has a running server (BASE_URL) remove what has expired. `make serve` does the same once an hour."""

import argparse
import sys

from local import operators

ANSWER_SECONDS = 1600.0  # a run may take as long as its function


def main() -> int:
    """Ask for a run, and print what it did. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.cleanup", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="only count what would be removed")
    options = parser.parse_args()
    try:
        report = operators.ask("/cleanup", {"dry_run": options.dry_run}, ANSWER_SECONDS)
    except operators.NotDone as error:
        print(f"make cleanup: {error}", file=sys.stderr)
        return 1
    removed = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in report["deleted"].items() if n) or "nothing"
    print(f"{'would remove' if report['dry_run'] else 'removed'} {removed} ({report['duration_ms']:.0f} ms)")
    if report["remaining"] and not report["dry_run"]:
        print("something is left: run it again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
