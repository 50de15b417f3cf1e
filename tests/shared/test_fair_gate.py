"""The fair gate: one at a time, in turn between those for whom they come, and no crowd keeps anybody out."""

import threading
from contextlib import ExitStack, contextmanager

import pytest

from shared.errors import Overloaded
from shared.fair_gate import FairGate
from tests.waiting import WAIT_SECONDS, wait_for


class Queue:
    """Callers at a gate, each on a thread of its own."""

    def __init__(self, gate):
        self._gate = gate
        self._threads = []
        self.went_in, self.refused = [], []

    def come(self, *callers):
        """Let callers come one after the other; the first letter of each is for whom."""
        for caller in callers:
            refused, waiting = len(self.refused), self.waiting
            self._threads.append(thread := threading.Thread(target=self._enter, args=(caller,)))
            thread.start()
            wait_for(lambda: len(self.refused) > refused or self.waiting > waiting)  # noqa: B023 - called at once

    @property
    def waiting(self):
        return sum(map(len, self._gate._crowds.values()))

    def _enter(self, caller):
        try:
            with self._gate.enter(caller[0]):
                self.went_in.append(caller)
        except Overloaded:
            self.refused.append(caller)

    def end(self):
        for thread in self._threads:
            thread.join(WAIT_SECONDS)


@contextmanager
def queue(most_waiting, wait_seconds=WAIT_SECONDS):
    """A gate that somebody has entered, and the queue before it; at the end all are let in."""
    gate = FairGate(most_waiting, wait_seconds)
    waiting = Queue(gate)
    with ExitStack() as inside:
        inside.enter_context(gate.enter("somebody"))
        yield waiting
    waiting.end()


def test_they_go_in_in_turn_between_those_for_whom_they_come():
    with queue(10) as waiting:
        waiting.come("a1", "a2", "a3", "b1", "b2", "c1")
    assert waiting.went_in == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert waiting.refused == []


def test_a_newcomer_takes_the_place_of_the_last_of_a_crowd():
    with queue(3) as waiting:
        waiting.come("a1", "a2", "a3", "b1")
        wait_for(lambda: waiting.refused)
    assert waiting.refused == ["a3"]
    assert waiting.went_in == ["a1", "b1", "a2"]


@pytest.mark.parametrize("late", ["a4", "b2", "c1"])
def test_who_would_not_make_it_fairer_is_refused_at_once(late):
    first = {"a4": ["a1", "a2", "a3"], "b2": ["a1", "a2", "b1"], "c1": ["a1", "b1", "d1"]}[late]
    with queue(3) as waiting:
        waiting.come(*first, late)
        assert waiting.refused == [late]
    assert sorted(waiting.went_in) == sorted(first)


def test_nobody_waits_for_ever_and_leaves_nothing_behind():
    with queue(1, wait_seconds=0.05) as waiting:
        waiting.come("a1")
        wait_for(lambda: waiting.refused)
        waiting.come("a2")
        wait_for(lambda: len(waiting.refused) > 1)
        assert waiting.waiting == 0
    assert waiting.went_in == []


def test_the_gate_opens_again_after_a_failure():
    gate = FairGate(1, WAIT_SECONDS)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), gate.enter("a"):
            raise ZeroDivisionError
