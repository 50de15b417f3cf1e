"""What docs/self-hosting.md has people type is understood, and what it names is there."""

import re
import shlex

import pytest

from installation.__main__ import command_line
from tests.installation.installations import ROOT

PAGE = (ROOT / "docs" / "self-hosting.md").read_text()
COMMANDS = sorted(set(re.findall(r"(?:^ {4,}|`)((?:scripts/install\.sh|liftlog) [a-z][^`\n]*)", PAGE, re.MULTILINE)))


def test_the_page_names_every_command():
    used = {shlex.split(command)[1] for command in COMMANDS}
    assert used == {"install", "upgrade", "uninstall", "status", "backup", "restore", "backup-key", "demo"}


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command):
    assert command_line().parse_args(shlex.split(command)[1:]).run


def test_what_runs_is_where_the_page_says():
    for place in re.findall(r"`(/(?:opt|etc|var|usr)/[^`*]*liftlog[^`*]*)`", PAGE):
        assert any(place.startswith(known) for known in PLACES), place


PLACES = (
    "/opt/liftlog/releases", "/etc/liftlog", "/var/lib/liftlog", "/etc/systemd/system/liftlog",
    "/etc/caddy/liftlog.caddyfile", "/usr/local/src/liftlog",
)  # fmt: skip
