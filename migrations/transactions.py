"""For versions whose statements cannot run inside a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op


@contextmanager
def outside_transaction() -> Iterator[None]:
    """Run the block's statements each in a transaction of its own, as CREATE INDEX CONCURRENTLY asks for.

    Such a statement holds up nobody while it waits, so it may wait for a backup's long transaction to end: only
    `statement_timeout` ends it.
    """
    with op.get_context().autocommit_block():
        op.execute("COMMIT")  # Alembic has just asked for the isolation level, for which pg8000 began a transaction
        op.execute("SELECT set_config('migrations.lock_timeout', current_setting('lock_timeout'), false)")
        op.execute("SET lock_timeout = 0")
        yield
        op.execute("SELECT set_config('lock_timeout', current_setting('migrations.lock_timeout'), false)")
