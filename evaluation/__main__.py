"""`make eval`: ask the configured model (OPENAI_…) thirty requests, and print how good its answers are.

`--fake` asks a canned coach instead, which needs no key. `--only WORD` asks those whose name has it; may be repeated.
"""

import argparse
import os
import statistics
import sys
from contextlib import ExitStack

from rich.console import Console
from rich.table import Table

from client.model_server import ModelServer
from evaluation.asking import Played, play
from evaluation.cases import CASES, Probe
from evaluation.scores import SCORES, Score, score
from shared.settings.planner import model_settings

SIGNS = {True: "yes", False: "NO", None: "·"}
Row = tuple[Probe, Played, dict[str, Score]]


def main() -> int:
    """Print the table. Return 1 if an answer was not valid, 2 if nothing was asked."""
    parser = argparse.ArgumentParser(prog="make eval ARGS=…", description="How well does a model serve?")
    parser.add_argument("--fake", action="store_true", help="ask a canned coach: no key is needed")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="only requests with it in their name"
    )
    options = parser.parse_args()
    wanted = [case for case in CASES if not options.only or any(word in case.name for word in options.only)]
    console = Console(width=140)
    with ExitStack() as started:
        if options.fake:
            os.environ["OPENAI_BASE_URL"] = started.enter_context(ModelServer()).base_url
        console.print(f"Asking {model_settings().model} at {model_settings().base_url} …")
        rows = [_asked(console, case) for case in wanted]
    if not rows:
        return 2
    console.print(table(rows))
    return int(not all(scores["valid"] for _, _, scores in rows))


def _asked(console: Console, case: Probe) -> Row:
    played = play(case)
    console.print(f"  {case.name}: {played.seconds:.1f} s", style="dim")
    return case, played, score(case, played)


def table(rows: list[Row]) -> Table:
    """Return the table: a line for each request, and a last one with how many of those that count are good."""
    shown = Table("request", *SCORES, "first words (s)", "all (s)", "tokens, about")
    for case, played, scores in rows:
        first = "·" if played.first_seconds is None else f"{played.first_seconds:.1f}"
        signs = [SIGNS[told] for told in scores.values()]
        shown.add_row(case.name, *signs, first, f"{played.seconds:.1f}", str(played.tokens))
    shown.add_section()
    firsts = [played.first_seconds for _, played, _ in rows if played.first_seconds is not None]
    middle = f"{statistics.median(firsts):.1f}" if firsts else "·"
    seconds = statistics.median(played.seconds for _, played, _ in rows)
    goods = [_share([scores[name] for _, _, scores in rows]) for name in SCORES]
    shown.add_row("good, of those asked", *goods, middle, f"{seconds:.1f}", str(sum(row[1].tokens for row in rows)))
    return shown


def _share(told: list[Score]) -> str:
    return f"{told.count(True)}/{len(told) - told.count(None)}"


if __name__ == "__main__":
    sys.exit(main())
