"""What checks credentials is the same in every statement that acts for a user: the same words, the same columns."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
END = re.search(r"```sql\n(SELECT author\.id .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
MATCHES = "(verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)"
ACTS = re.compile(
    rf"^WITH (\w+) AS \( (?:UPDATE users SET (.*?)|DELETE FROM users) WHERE id = :user_id AND {re.escape(MATCHES)}"
    r" RETURNING id\b"
)


def in_one_line(sql):
    return " ".join(sql.split()).replace("( ", "(").replace(" )", ")").replace("AS (", "AS ( ")


def statements():
    """Every statement that is run with credentials, by the function that has it."""
    for path in sorted((ROOT / "shared" / "data").glob("*.py")):
        for function in ast.parse(path.read_text()).body:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "authenticated.run":
                    name = getattr(function, "name", "")
                    yield pytest.param(in_one_line(ast.literal_eval(node.args[1])), id=f"{path.stem}.{name}")


STATEMENTS = list(statements())


@pytest.mark.parametrize("sql", STATEMENTS)
def test_it_finds_locks_and_checks_the_user_first(sql):
    acts = ACTS.match(sql)
    assert acts, "does not begin as the others do"
    if acts[2]:
        assert "last_accessed = now()" in acts[2]
        assert "verifier = coalesce(verifier, :upgrade)" in acts[2]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_it_ends_with_the_columns_that_are_read(sql):
    assert END
    columns, source = in_one_line(END[1]).split(" FROM users ")
    acts = ACTS.match(sql)
    assert acts
    _, _, end = sql.rpartition(f"SELECT {acts[1]}.id IS NOT NULL")
    assert f"SELECT author.id IS NOT NULL{end}".startswith(columns)
    assert end.endswith(f" FROM users {source}".replace("author", acts[1]))


def test_no_statement_checks_credentials_alone():
    texts = [path.read_text() for path in (ROOT / "shared" / "data").glob("*.py") if path.stem != "authenticated"]
    assert sum(text.count(":legacy_hash") for text in texts) == 2 * len(STATEMENTS) > 0
