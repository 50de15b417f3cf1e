"""For versions whose statements cannot run inside a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op


@contextmanager
def outside_transaction() -> Iterator[None]:
    """Run the block's statements each in a transaction of its own, as CREATE INDEX CONCURRENTLY asks for."""
    with op.get_context().autocommit_block():
        op.execute("COMMIT")  # Alembic has just asked for the isolation level, for which pg8000 began a transaction
        yield
