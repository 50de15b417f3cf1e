"""Backups of phones: where they are, how large they may be, and how long they are kept."""

from dataclasses import dataclass
from functools import cache

from shared.settings.reading import number, text

OFF = "off"
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """Where backups of phones are stored, and which of them are kept.

    BACKUP_STORE                 file:///folder or gs://bucket/prefix; unset or off: none are taken. `make serve` sets
                                 a folder below DATA_DIR
    BACKUP_STORE_ENDPOINT        another address of Cloud Storage's API, asked without credentials
    BACKUP_MAX_BYTES             largest backup, 1 to 1 073 741 824; default 67 108 864 (64 MiB). Behind Cloud Functions
                                 no request is larger than 32 MiB
    BACKUP_KEEP_NEWEST           so many of each name stay, however old, 1 to 10 000; default 10
    BACKUP_KEEP_DAYS             for so many days one a day stays, 0 to 10 000; default 31
    BACKUP_KEEP_MONTHS           for so many months one a month stays, 0 to 1000; default 12
    BACKUP_QUOTA_MIB             most of one name at a time, in MiB; default 1024
    BACKUP_QUOTA_COUNT           most backups of one name at a time; default 200
    """

    store: str
    endpoint: str
    most_bytes: int
    keep_newest: int
    keep_days: int
    keep_months: int
    quota_bytes: int
    quota_count: int


@cache
def backup_settings() -> BackupSettings:
    """Read where backups are and which are kept. Raises InvalidSetting."""
    store = text("BACKUP_STORE")
    return BackupSettings(
        store="" if store == OFF else store,
        endpoint=text("BACKUP_STORE_ENDPOINT"),
        most_bytes=int(number("BACKUP_MAX_BYTES", 64 * MIB, 1, 1024 * MIB)),
        keep_newest=int(number("BACKUP_KEEP_NEWEST", 10, 1, 10_000)),
        keep_days=int(number("BACKUP_KEEP_DAYS", 31, 0, 10_000)),
        keep_months=int(number("BACKUP_KEEP_MONTHS", 12, 0, 1000)),
        quota_bytes=int(number("BACKUP_QUOTA_MIB", 1024, 1, 1_000_000)) * MIB,
        quota_count=int(number("BACKUP_QUOTA_COUNT", 200, 2, 1_000_000)),
    )
