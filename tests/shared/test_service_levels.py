"""How a value is judged."""

import pytest

from shared.service_levels import SERVICE_LEVELS, LevelState

LEVELS = {level.metric: level for level in SERVICE_LEVELS}


@pytest.mark.parametrize(
    ("metric", "value", "state"),
    [
        ("p95_ms", 199.9, LevelState.NORMAL),
        ("p95_ms", 200, LevelState.WARNING),
        ("p95_ms", 500, LevelState.WARNING),
        ("p95_ms", 500.1, LevelState.ALERT),
        ("health_percent", 100, LevelState.NORMAL),
        ("health_percent", 99.9, LevelState.NORMAL),
        ("health_percent", 99.8, LevelState.WARNING),
        ("health_percent", 95, LevelState.WARNING),
        ("health_percent", 94.9, LevelState.ALERT),
    ],
)
def test_a_value_is_normal_or_an_alert_or_neither(metric, value, state):
    assert LEVELS[metric].state(value) is state
