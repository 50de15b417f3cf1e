"""Break lines of the project, one at a time, in a copy, and report which of them no test notices.

The lines are in tests/mutants/*.toml. First their tests are run with nothing broken. The exit status is 1 if fewer than
97 of 100 are noticed, or something could not be tested.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.catalogue import Mutant, Stale, check, mutants
from tests.mutants.trials import Copy, Trial, Verdict, copies, database_server

ROOT = Path(__file__).parent.parent.parent
GOAL_PERCENT = 97.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says. Return the exit status."""
    options = _options(arguments)
    chosen = [mutant for mutant in mutants() if mutant.matches(options.words)]
    try:
        for mutant in chosen:
            check(mutant, ROOT)
    except Stale as stale:
        _say(f"the list is stale: {stale}")
        return 1
    if options.list:
        for mutant in chosen:
            _say(_row("", "", mutant, ""))
        return 0
    with database_server(), copies(ROOT, min(options.jobs, max(len(chosen), 1))) as made:
        if not options.unchecked and not _is_sound(made[0], chosen):
            return 1
        trials = [_told(trial) for trial in _all_trials(made, chosen)]
    return _summed_up(trials)


def _is_sound(copy: Copy, chosen: list[Mutant]) -> bool:
    """Tell whether the tests pass where nothing is broken: else whatever they notice means nothing."""
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    _say(f"running the tests of {len(chosen)} mutants with nothing broken")
    status, output = copy.run(tests, "-n", "auto", seconds=None)
    if status != 0:
        _say(output)
    return status == 0


def _all_trials(made: list[Copy], chosen: list[Mutant]) -> Iterator[Trial]:
    """Try the mutants out, as many at once as there are copies."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in made:
        free.put(copy)

    def try_out(mutant: Mutant) -> Trial:
        copy = free.get()
        try:
            return copy.try_out(mutant)
        finally:
            free.put(copy)

    pool = ThreadPoolExecutor(len(made))
    try:
        for future in as_completed([pool.submit(try_out, mutant) for mutant in chosen]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C only what is under way is awaited


def _told(trial: Trial) -> Trial:
    _say(_row(trial.verdict, f"{trial.seconds:.0f} s", trial.mutant, trial.by))
    return trial


def _row(verdict: str, took: str, mutant: Mutant, by: str) -> str:
    line = (ROOT / mutant.file).read_text().partition(mutant.old)[0].count("\n") + 1
    return f"{verdict:<10}{took:>5}  {f'{mutant.file}:{line}':<40} {mutant.why:<60} {by}".strip()


def _summed_up(trials: list[Trial]) -> int:
    counts = Counter(trial.verdict for trial in trials)
    percent = 100 * counts[Verdict.NOTICED] / len(trials) if trials else 0.0
    _say(
        f"{len(trials)} mutants: {counts[Verdict.NOTICED]} noticed ({percent:.1f} %, wanted {GOAL_PERCENT:g} %),"
        f" {counts[Verdict.UNNOTICED]} unnoticed, {counts[Verdict.INVALID]} invalid"
    )
    return 0 if percent >= GOAL_PERCENT and not counts[Verdict.INVALID] else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants with one of these in file, line, tests or reason")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once (one per core)")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--unchecked", action="store_true", help="do not run the tests with nothing broken first")
    return parser.parse_args(arguments)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
