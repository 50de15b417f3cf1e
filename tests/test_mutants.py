"""The list of `make mutants` fits the source, and the tool tells what is noticed from what is not."""

from pathlib import Path

import pytest

from tests.mutants.catalogue import Mutant, Stale, check, mutants
from tests.mutants.trials import Verdict, copies

ROOT = Path(__file__).parent.parent
ROOMS = {path.parts[0] for path in (p.relative_to(ROOT) for p in ROOT.glob("*/__init__.py"))} | {
    "functions",
    "terraform",
}
SOURCE = "def answer():\n    return 6 * 7\n"
TESTS = '''"""The program's tests, in this process and in another one."""

import subprocess
import sys

from program import answer


def test_the_answer():
    code = "import program; print(program.answer())"
    told = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True)
    assert (answer(), told.stdout) == (42, "42\\n")


def test_nothing():
    answer()
'''


def test_every_broken_line_is_there_once_and_its_tests_exist():
    stale = []
    for mutant in mutants():
        try:
            check(mutant, ROOT)
        except Stale as error:
            stale.append(str(error))
    assert stale == []


def test_there_are_at_least_100_in_all_rooms():
    listed = mutants()
    assert len(listed) >= 100
    assert {mutant.file.partition("/")[0] for mutant in listed} >= ROOMS - {"tests"}
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in listed}) == len(listed)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a copy of a small program with two tests, one of which looks at what it calls."""
    root = tmp_path_factory.mktemp("program")
    (root / "program.py").write_text(SOURCE)
    (root / "test_program.py").write_text(TESTS)
    with copies(root, 1) as (copy,):
        yield copy
    assert (root / "program.py").read_text() == SOURCE


@pytest.mark.parametrize(
    ("old", "new", "test", "verdict"),
    [
        ("6 * 7", "6 * 8", "test_the_answer", Verdict.NOTICED),
        ("6 * 7", "7 * 6", "test_the_answer", Verdict.UNNOTICED),
        ("6 * 7", "6 * 8", "test_nothing", Verdict.UNNOTICED),
        ("def answer", "def another", "test_nothing", Verdict.NOTICED),  # it cannot be imported any more
    ],
)
def test_a_verdict_is_what_the_tests_say(copy, old, new, test, verdict):
    mutant = Mutant("program.py", old, new, (f"test_program.py::{test}",), "another answer")
    assert copy.try_out(mutant).verdict is verdict
    assert (copy.root / "program.py").read_text() == SOURCE


def test_where_nothing_is_tested_nothing_is_said(copy):
    assert (
        copy.try_out(Mutant("program.py", "6 * 7", "0", ("program.py",), "another answer")).verdict is Verdict.INVALID
    )


def test_the_test_that_noticed_is_named(copy):
    trial = copy.try_out(Mutant("program.py", "6 * 7", "0", ("test_program.py",), "another answer"))
    assert (trial.verdict, trial.by) == (Verdict.NOTICED, "test_the_answer")


@pytest.mark.parametrize(
    ("old", "new", "test"),
    [
        ("6 * 9", "0", "test_program.py"),  # not there
        ("e", "f", "test_program.py"),  # there several times
        ("6 * 7", "6 * 7", "test_program.py"),  # not broken
        ("6 * 7", "6 *", "test_program.py"),  # no Python
        ("6 * 7", "0", "test_of_nothing.py"),
        ("6 * 7", "0", "test_program.py::test_that_is_none"),
    ],
)
def test_a_list_that_does_not_fit_is_an_error(copy, old, new, test):
    with pytest.raises(Stale):
        check(Mutant("program.py", old, new, (test,), "another answer"), copy.root)
