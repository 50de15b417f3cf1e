"""The service levels: one table, read by the summary, the dashboard, the alerts of the cloud and the documentation."""

from dataclasses import dataclass
from enum import StrEnum

# Functions that wait for a language model, keep a chat open, or move files of megabytes.
NOT_IN_LATENCY = frozenset({"ai", "ai_chat", "backup", "own_data"})


class LevelState(StrEnum):
    NORMAL = "normal"
    WARNING = "warning"  # neither normal nor alarming
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """A metric, the range in which nobody looks, and the value past which somebody is called."""

    metric: str
    title: str
    unit: str
    normal: float  # below is normal; for health: at least
    alert: float  # above is an alert; for health: below
    alert_seconds: int  # for so long
    higher_is_better: bool = False

    def state(self, value: float) -> LevelState:
        """Judge a value."""
        if self.higher_is_better:
            is_normal, is_alert = value >= self.normal, value < self.alert
        else:
            is_normal, is_alert = value < self.normal, value > self.alert
        if is_alert:
            return LevelState.ALERT
        return LevelState.NORMAL if is_normal else LevelState.WARNING


SERVICE_LEVELS = (
    ServiceLevel("error_rate_percent", "Error rate (5xx of all requests)", "%", 0.1, 1, 300),
    ServiceLevel("p95_ms", "Latency p95, without the planner", "ms", 200, 500, 600),
    ServiceLevel("p99_ms", "Latency p99, without the planner", "ms", 500, 1000, 600),
    ServiceLevel("database_connections", "Database connections", "", 50, 80, 300),
    ServiceLevel("memory_percent", "Memory, of its limit", "%", 70, 85, 300),
    ServiceLevel("cpu_percent", "CPU, of its limit", "%", 60, 80, 300),
    ServiceLevel("health_percent", "Health checks that succeed", "%", 99.9, 95, 180, higher_is_better=True),
)
