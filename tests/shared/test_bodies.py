"""What is left of a body, read into nothing within bounds. Beside a server: tests/functions/test_bad_input.py."""

from io import BytesIO

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from shared.http import bodies


def request(body):
    return Request(EnvironBuilder(method="POST", input_stream=BytesIO(body), content_length=len(body)).get_environ())


def test_all_of_it_is_read():
    asked = request(b"x" * 300_000)
    assert bodies.drain(asked)
    assert asked.stream.read() == b""


@pytest.mark.parametrize("bound", ["DRAIN_SECONDS", "DRAIN_BYTES"])
def test_its_bounds_end_it(monkeypatch, bound):
    monkeypatch.setattr(bodies, bound, 0)
    asked = request(b"x" * 300_000)
    assert not bodies.drain(asked)
    assert len(asked.stream.read()) == 300_000
