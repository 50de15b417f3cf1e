"""Table `backups`: what phones have sent, one row per name and content. The bytes are in the backup store.

They are under the id; they come before the row and go after it, so that a row always has its bytes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.backup_keys import PresentedKey
from shared.data import quotas
from shared.data.pool import Database
from shared.errors import UnknownBackup, WrongKey
from shared.settings.backups import BackupSettings


@dataclass(frozen=True, slots=True)
class Backup:
    """What a phone has sent."""

    id: UUID
    name: str
    byte_count: int
    sha256: bytes
    stored_at: datetime  # UTC, the database's clock; when it was last sent

    @property
    def hex_digest(self) -> str:
        """The SHA-256 as programs print it."""
        return self.sha256.hex()


def put(db: Database, backup_id: UUID, name: str, sha256: bytes, byte_count: int, settings: BackupSettings) -> Backup:
    """Note a backup whose bytes are stored, and return it; the same content again is the backup that is there.

    Safe to repeat. Raises QuotaExceeded, WrongKey if the name is gone. Uploads of one name that end at the same moment
    do not see one another, so that each may be the last for which there is room.
    """
    row = db.row(
        """
        WITH owner AS (
            UPDATE backup_keys SET used_at = now() WHERE name = :name RETURNING name
        ), stored AS (
            INSERT INTO backups (id, name, sha256, bytes, stored_at)
            SELECT :id, owner.name, :sha256, CAST(:bytes AS bigint), clock_timestamp() FROM owner
            WHERE EXISTS (SELECT FROM backups WHERE name = :name AND sha256 = :sha256)
                OR (SELECT count(*) < :most_count AND coalesce(sum(bytes), 0) + CAST(:bytes AS bigint) <= :most_bytes
                    FROM backups WHERE name = :name)
            ON CONFLICT (name, sha256) DO UPDATE SET stored_at = excluded.stored_at
            RETURNING id, stored_at
        )
        SELECT stored.id, stored.stored_at FROM owner LEFT JOIN stored ON true
        """,
        repeatable=True,
        id=backup_id,
        name=name,
        sha256=sha256,
        bytes=byte_count,
        most_count=settings.quota_count,
        most_bytes=settings.quota_bytes,
    )
    if row is None:
        raise WrongKey
    stored_id, stored_at = row
    if stored_id is None:
        quotas.refuse("backups")
    return Backup(stored_id, name, byte_count, sha256, stored_at)


def list_all(db: Database, presented: PresentedKey) -> list[Backup]:
    """Return a name's backups, the newest first. Raises WrongKey, for unknown names as well."""
    rows = db.rows(
        """
        SELECT digest, id, name, bytes, sha256, stored_at FROM backup_keys LEFT JOIN backups USING (name)
        WHERE name = :name ORDER BY stored_at DESC, id
        """,
        repeatable=True,
        name=presented.row_name,
    )
    presented.check(rows[0][0] if rows else None)
    return [Backup(*columns) for _digest, *columns in rows if columns[0] is not None]


def get(db: Database, presented: PresentedKey, backup_id: UUID | None) -> Backup:
    """Return a backup of the name that is given, or of whatever name it has; None is nobody's.

    Raises WrongKey; UnknownBackup to whoever has shown the name's key.
    """
    row = db.row(
        """
        SELECT digest, id, backups.name, bytes, sha256, stored_at
        FROM backup_keys LEFT JOIN backups ON id = :id AND (backups.name = backup_keys.name) IS TRUE
        WHERE backup_keys.name = coalesce(CAST(:name AS text), (SELECT name FROM backups WHERE id = :id))
        """,
        repeatable=True,
        name=presented.row_name,
        id=backup_id,
    )
    presented.check(row[0] if row else None)
    if row is None or row[1] is None:
        raise UnknownBackup
    return Backup(*row[1:])


@dataclass(frozen=True, slots=True)
class NamesBackups:
    """How much is kept under a name."""

    name: str
    count: int
    byte_count: int
    newest_at: datetime | None  # UTC


def list_names(db: Database, limit: int) -> list[NamesBackups]:
    """Return what is kept under each name, also nothing, in the order of the names."""
    rows = db.rows(
        """
        WITH named AS (
            SELECT name FROM backup_keys ORDER BY name LIMIT :limit
        ), kept AS (  -- a row of each name, too, rather than a join, which would believe statistics
            SELECT name, CAST(NULL AS bigint) AS bytes, CAST(NULL AS timestamptz) AS stored_at FROM named
            UNION ALL
            SELECT name, bytes, stored_at FROM backups WHERE name = ANY(ARRAY(SELECT name FROM named))
        )
        SELECT name, count(bytes), coalesce(sum(bytes), 0), max(stored_at) FROM kept GROUP BY name ORDER BY name
        """,
        repeatable=True,
        limit=limit,
    )
    return [NamesBackups(name, count, int(byte_count), newest_at) for name, count, byte_count, newest_at in rows]


# Of each name the newest, one a day and one a month, days and months being UTC's; and of those, the newest first, what
# leaves room for another upload. The newest of all always stays.
_RETIRED = """
    SELECT id, stored_at FROM (
        SELECT id, stored_at, place,
               count(*) FILTER (WHERE wanted) OVER newest AS count_until_here,
               sum(bytes) FILTER (WHERE wanted) OVER newest AS bytes_until_here,
               wanted
        FROM (
            SELECT *,
                   place <= :keep_newest
                   OR place_of_day = 1 AND stored_at > now() - make_interval(days => CAST(:keep_days AS integer))
                   OR place_of_month = 1 AND stored_at > now() - make_interval(months => CAST(:keep_months AS integer))
                   AS wanted
            FROM (
                SELECT id, name, stored_at, bytes,
                       row_number() OVER (PARTITION BY name ORDER BY stored_at DESC, id) AS place,
                       row_number() OVER (PARTITION BY name, date_trunc('day', stored_at, 'UTC')
                                          ORDER BY stored_at DESC, id) AS place_of_day,
                       row_number() OVER (PARTITION BY name, date_trunc('month', stored_at, 'UTC')
                                          ORDER BY stored_at DESC, id) AS place_of_month
                FROM backups
            ) AS placed
        ) AS judged
        WINDOW newest AS (PARTITION BY name ORDER BY stored_at DESC, id)
    ) AS counted
    WHERE place > 1 AND NOT (wanted AND count_until_here < :most_count AND bytes_until_here <= :most_bytes)
"""


def count_retired(db: Database, settings: BackupSettings) -> int:
    """Return how many backups are no longer kept."""
    return db.count(f"SELECT count(*) FROM ({_RETIRED}) AS retired", **_retention(settings))  # noqa: S608 # nosec B608


def retire(db: Database, settings: BackupSettings, limit: int) -> list[Backup]:
    """Delete backups that are no longer kept, the oldest first, and return them: their bytes are to go, too.

    One that is sent again meanwhile has another `stored_at`, and stays: that is looked at behind the row's lock.
    """
    rows = db.rows(
        f"""
        WITH retired AS MATERIALIZED ({_RETIRED} ORDER BY stored_at LIMIT :limit)
        DELETE FROM backups
        WHERE id = ANY(ARRAY(SELECT id FROM retired))
            AND concat(id, stored_at) = ANY(ARRAY(SELECT concat(id, stored_at) FROM retired))
        RETURNING id, name, bytes, sha256, stored_at
        """,  # noqa: S608 # nosec B608
        limit=limit,
        **_retention(settings),
    )
    return [Backup(*row) for row in rows]


def known(db: Database, ids: list[UUID]) -> set[UUID]:
    """Return which of these ids are those of backups."""
    rows = db.rows("SELECT id FROM backups WHERE id = ANY(CAST(:ids AS uuid[]))", repeatable=True, ids=ids)
    return {backup_id for (backup_id,) in rows}


def _retention(settings: BackupSettings) -> dict[str, Any]:
    return {
        "keep_newest": settings.keep_newest, "keep_days": settings.keep_days, "keep_months": settings.keep_months,
        "most_count": settings.quota_count,
        "most_bytes": max(0, settings.quota_bytes - settings.most_bytes),
    }  # fmt: skip
