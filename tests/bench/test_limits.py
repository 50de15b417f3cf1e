"""The limit of memory that greedy clients are tried against is one."""

import subprocess
import sys

import pytest

from bench.limits import memory_group

MIB = 1024 * 1024
GREEDY = f"import sys; sys.stdin.read(1); bytearray({200 * MIB}); print('lives')"


def test_what_uses_more_than_its_group_may_is_killed():
    with memory_group(64 * MIB) as group:
        if group is None:
            pytest.skip("this account may make no control group")
        process = subprocess.Popen([sys.executable, "-c", GREEDY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        group.take(process.pid)
        output, _ = process.communicate(b"!")
        assert (process.returncode, output) == (-9, b"")
