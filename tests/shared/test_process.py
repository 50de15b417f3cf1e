"""What a process says of the memory and the CPU that it uses."""

import os
import time

import pytest

from shared import process
from shared.process import CpuMeter


def burn(seconds):
    """Use so much CPU, however long that takes."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_cpu_is_counted_from_one_reading_to_the_next():
    """One thread uses no more than one CPU, in a short while after a long one, too."""
    meter = CpuMeter()
    burn(0.3)
    assert meter.percent() > 0
    burn(0.01)
    assert 0 < meter.percent() < 150 / process.cpu_limit()


def test_memory_is_measured_against_the_smaller_of_container_and_machine(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(process, "_MEMORY_LIMITS", (limit,))
    machine = process.memory_limit_bytes()
    limit.write_text("1000000\n")
    assert process.memory_limit_bytes() == 1_000_000
    in_container = process.memory_percent()
    limit.write_text("max\n")
    assert process.memory_limit_bytes() == machine
    limit.write_text(f"{2 * machine}\n")
    assert process.memory_limit_bytes() == machine
    assert 0 < process.memory_percent() < in_container


def test_the_limit_of_a_service_of_systemd_is_in_its_own_group(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_CGROUPS", tmp_path)
    monkeypatch.setattr(process, "_OWN_CGROUP", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text("1:name=systemd:/other\n0::/system.slice/liftlog.service\n")
    limit = tmp_path / "system.slice" / "liftlog.service" / "memory.max"
    limit.parent.mkdir(parents=True)
    limit.write_text("1000000\n")
    assert process.memory_limit_bytes() == 1_000_000
    (tmp_path / "cgroup").unlink()
    assert process.memory_limit_bytes() > 1_000_000


@pytest.mark.parametrize(("text", "cpus"), [("150000 100000\n", 1.5), ("max 100000\n", os.cpu_count())])
def test_the_cpus_are_those_of_the_container(monkeypatch, tmp_path, text, cpus):
    limit = tmp_path / "cpu.max"
    limit.write_text(text)
    monkeypatch.setattr(process, "_CPU_LIMIT", limit)
    assert process.cpu_limit() == cpus
