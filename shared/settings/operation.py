"""What operators decide: logs, metrics, who may use the private routes, what the cleanup removes."""

import logging
from dataclasses import dataclass
from functools import cache

from shared.errors import InvalidSetting
from shared.settings.reading import flag, number, text


@dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """Whether this process refuses everybody.

    MAINTENANCE                  true: every route but those of health answers 503; scripts/restore.sh sets it
    """

    refuses: bool


@cache
def maintenance_settings() -> MaintenanceSettings:
    """Read whether this process refuses everybody. Raises InvalidSetting."""
    return MaintenanceSettings(flag("MAINTENANCE"))


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and what log lines refer to.

    LOG_LEVEL                    DEBUG, INFO, WARNING or ERROR; default INFO, with a line for each request
    GCP_PROJECT_ID               the project whose traces log lines name
    """

    level: str
    project_id: str


@cache
def log_settings() -> LogSettings:
    """Read what is logged. Raises InvalidSetting."""
    level = text("LOG_LEVEL", logging.getLevelName(logging.INFO)).upper()
    if level not in map(logging.getLevelName, (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)):
        raise InvalidSetting("LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
    return LogSettings(level, text("GCP_PROJECT_ID"))


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """How often a process writes its metrics to the database.

    METRICS_FLUSH_SECONDS        at most one statement in that time, 0.1 to 3600; default 5
    """

    flush_seconds: float


@cache
def metric_settings() -> MetricSettings:
    """Read how often metrics are written. Raises InvalidSetting."""
    return MetricSettings(number("METRICS_FLUSH_SECONDS", 5, 0.1, 3600))


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Who may use the private routes. The token is a secret, OPERATOR_TOKEN (`secret`).

    OPERATOR_IAM                 true: the cloud has let the caller in (a function that only its invokers reach)
    OPERATOR_IDENTITIES          e-mail addresses, separated by commas, whose Google identity tokens are accepted
    OIDC_AUDIENCE                what those tokens must be made for: this service's URL
    OIDC_CERTS_URL               a mirror of Google's certificates
    """

    behind_iam: bool
    identities: frozenset[str]
    audience: str
    certs_url: str


@cache
def operator_settings() -> OperatorSettings:
    """Read who may use the private routes. Raises InvalidSetting."""
    identities = frozenset(text("OPERATOR_IDENTITIES").replace(" ", "").lower().split(",")) - {""}
    audience = text("OIDC_AUDIENCE")
    if identities and not audience:
        raise InvalidSetting("OIDC_AUDIENCE must be set where OPERATOR_IDENTITIES is: the URL of this service")
    certs_url = text("OIDC_CERTS_URL", "https://www.googleapis.com/oauth2/v1/certs")
    return OperatorSettings(flag("OPERATOR_IAM"), identities, audience, certs_url)


@dataclass(frozen=True, slots=True)
class CleanupSettings:
    """What the cleanup removes, and how it asks for another run.

    EVENT_RETENTION_DAYS         an expired event stays for so long after it was stored, 0 to 3650; default 30
    CLEANUP_SECONDS              longest run, 1 to 1500, below the function's time-out; default 240
    CLEANUP_JOB                  projects/…/locations/…/jobs/… in Cloud Scheduler; unset: nobody is asked
    CLOUD_SCHEDULER_ENDPOINT     another address of Cloud Scheduler's API, asked without credentials
    """

    event_retention_days: float
    seconds: float
    job: str
    scheduler_endpoint: str


@cache
def cleanup_settings() -> CleanupSettings:
    """Read what the cleanup removes. Raises InvalidSetting."""
    return CleanupSettings(
        event_retention_days=number("EVENT_RETENTION_DAYS", 30, 0, 3650),
        seconds=number("CLEANUP_SECONDS", 240, 1, 1500),
        job=text("CLEANUP_JOB"),
        scheduler_endpoint=text("CLOUD_SCHEDULER_ENDPOINT"),
    )


@dataclass(frozen=True, slots=True)
class DumpSettings:
    """Where /admin writes backups of the whole database.

    DATABASE_DUMP_FOLDER         a folder; unset: it writes none
    """

    folder: str


@cache
def dump_settings() -> DumpSettings:
    """Read where backups of the database are written."""
    return DumpSettings(text("DATABASE_DUMP_FOLDER"))
