"""Numbers among the settings: their defaults and bounds, as docs/settings.md has them."""

import re
from operator import attrgetter
from pathlib import Path

import pytest

from shared.errors import InvalidSetting
from shared.settings.backups import backup_settings
from shared.settings.database import database_settings
from shared.settings.operation import cleanup_settings, metric_settings
from shared.settings.planner import chat_settings, model_settings
from shared.settings.secrets import secret_settings
from shared.settings.stores import store_settings

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "settings.md").read_text()
# variable, the function that reads it, the attribute; its default, the least and the most
NUMBERS = [
    ("DB_POOL_SIZE", database_settings, "pool_size", 8, 1, 100),
    ("DB_POOL_TIMEOUT_SECONDS", database_settings, "pool_timeout_seconds", 5, 0.01, 60),
    ("OPENAI_TIMEOUT_SECONDS", model_settings, "timeout_seconds", 60, 1, 600),
    ("OPENAI_HISTORY_TOKENS", model_settings, "history_tokens", 100_000, 0, 1_000_000),
    ("CHAT_LIMIT", chat_settings, "limit", 50, 1, 10_000),
    ("CHAT_TURNS_PER_DAY", chat_settings, "turns_per_day", 100, 0, 1_000_000),
    ("SECRET_TTL_SECONDS", secret_settings, "ttl_seconds", 300, 1, 86_400),
    ("STORE_OUTAGE_HOURS", store_settings, "outage_hours", 24, 0, 168),
    ("METRICS_FLUSH_SECONDS", metric_settings, "flush_seconds", 5, 0.1, 3600),
    ("EVENT_RETENTION_DAYS", cleanup_settings, "event_retention_days", 30, 0, 3650),
    ("BACKUP_MAX_BYTES", backup_settings, "most_bytes", 67_108_864, 1, 1_073_741_824),
    ("BACKUP_KEEP_NEWEST", backup_settings, "keep_newest", 10, 1, 10_000),
    ("BACKUP_KEEP_DAYS", backup_settings, "keep_days", 31, 0, 10_000),
    ("BACKUP_KEEP_MONTHS", backup_settings, "keep_months", 12, 0, 1000),
    ("BACKUP_QUOTA_COUNT", backup_settings, "quota_count", 200, 2, 1_000_000),
    ("CLEANUP_SECONDS", cleanup_settings, "seconds", 240, 1, 1500),
]


@pytest.fixture
def read(monkeypatch):
    """Return a function that reads a setting anew, as a process does that has just started."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d")
    monkeypatch.setenv("THREADS", "20000")

    def anew(variable, reader, attribute, value=None):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, str(value))
        return attrgetter(attribute)(reader.__wrapped__())

    return anew


@pytest.mark.parametrize(
    ("variable", "reader", "attribute", "default", "least", "most"), NUMBERS, ids=[row[0] for row in NUMBERS]
)
def test_a_number_has_its_default_and_its_bounds(read, variable, reader, attribute, default, least, most):
    assert read(variable, reader, attribute) == default
    assert read(variable, reader, attribute, "") == default
    for value in (least, most):
        assert read(variable, reader, attribute, value) == value
    for value in (least - 0.009, most * 1.01, "many", "nan"):
        with pytest.raises(InvalidSetting, match=variable):
            read(variable, reader, attribute, value)
    row = re.search(rf"^\| `{variable}` \|(.*)\| {default} \|$", DOCUMENT, re.MULTILINE)
    assert row, f"docs/settings.md has another default of {variable}"
    said = re.search(r"([\d.]+) to (\d+)", row[1])
    assert said is None or (float(said[1]), float(said[2])) == (least, most)
