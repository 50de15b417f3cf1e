"""Secrets are compared in constant time: how long an answer takes says nothing of how much of a guess was right."""

import ast
from pathlib import Path

import pytest

SHARED = Path(__file__).parent.parent.parent / "shared"
SECRETS = frozenset({"digest", "key", "presented", "mac", "signature", "token", "_digest", "_mac"})
WHERE_SECRETS_ARE_CHECKED = (
    "backup_keys.py",
    "operator_sessions.py",
    "operators.py",
    "signalr/tickets.py",
    "subscriptions/web.py",
)


def compared(path):
    """The names on both sides of every == and != of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare) and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
            for operand in (node.left, *node.comparators):
                yield from names(operand)


def names(operand):
    if isinstance(operand, ast.Name):
        yield operand.id
    elif isinstance(operand, ast.Call) and isinstance(operand.func, ast.Name):
        yield operand.func.id
    elif isinstance(operand, ast.Call) and isinstance(operand.func, ast.Attribute) and operand.func.attr == "encode":
        yield from names(operand.func.value)


@pytest.mark.parametrize("name", WHERE_SECRETS_ARE_CHECKED)
def test_no_secret_is_compared_with_an_operator_that_stops_at_the_first_difference(name):
    assert not SECRETS & set(compared(SHARED / name))
    assert "hmac.compare_digest(" in (SHARED / name).read_text()
