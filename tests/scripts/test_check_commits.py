"""The form of commits, held by `make lint`."""

import os
import subprocess

import pytest

from tests.imports import ROOT

CHECK = ROOT / "scripts" / "check-commits"
GOOD = "Take inbox messages in one statement\n\nTwo phones that read at once shared them: each message came twice."


@pytest.fixture
def repository(tmp_path):
    """Return a function that runs git in a repository with one commit, which no rule is about."""

    def git(*arguments):
        identity = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
        identity |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}
        return subprocess.run(
            ["git", *arguments], cwd=tmp_path, env=os.environ | identity, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "wip")
    return git


def check(folder, *arguments):
    return subprocess.run([CHECK, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (GOOD, ""),
        (GOOD.replace("Take", "Take" + "e" * 33), ""),
        (GOOD.replace("Take", "Take" + "e" * 37), "at most 72"),
        (GOOD.replace("Take", "take"), "capital"),
        (GOOD.replace("statement", "statement."), "full stop"),
        (GOOD.partition("\n")[0], "why"),
    ],
)
def test_a_commit_has_the_form(message, fault, repository, tmp_path):
    first = repository("rev-parse", "HEAD")
    repository("commit", "-q", "--allow-empty", "-m", message)
    outcome = check(tmp_path, first)
    assert (outcome.returncode, bool(outcome.stderr)) == (int(bool(fault)),) * 2
    assert fault in outcome.stderr


def test_a_shallow_clone_has_its_newest_commit_checked(repository, tmp_path):
    assert check(tmp_path, "0" * 40).returncode == 1
    repository("commit", "-q", "--allow-empty", "-m", GOOD)
    assert check(tmp_path, "0" * 40).returncode == 0


def test_what_is_no_checkout_is_not_checked(tmp_path):
    outcome = check(tmp_path)
    assert outcome.returncode == 0
    assert "NOT CHECKED" in outcome.stderr
