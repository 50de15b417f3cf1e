"""Table `backup_keys`: who may store backups, one key per name."""

from shared.backup_keys import PresentedKey
from shared.data.pool import Database


def put(db: Database, name: str, digest: bytes) -> bool:
    """Make this key the name's one and only, and tell whether it had another. Its backups stay."""
    ((was_known,),) = db.rows(
        """
        WITH known AS (
            SELECT FROM backup_keys WHERE name = :name
        ), stored AS (
            INSERT INTO backup_keys (name, digest, created_at) VALUES (:name, :digest, now())
            ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at
        )
        SELECT EXISTS (SELECT FROM known)
        """,
        name=name,
        digest=digest,
    )
    return bool(was_known)


def check(db: Database, presented: PresentedKey) -> None:
    """Let whoever shows the key of a name pass. Raises WrongKey, for unknown names as well."""
    row = db.row("SELECT digest FROM backup_keys WHERE name = :name", repeatable=True, name=presented.row_name)
    presented.check(row[0] if row else None)
