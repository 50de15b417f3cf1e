"""Cloud Scheduler: the job that calls the cleanup, as its operators and the cleanup itself see it."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared import google_clients
from shared.errors import InvalidSetting, ProviderUnavailable
from shared.settings.operation import CleanupSettings

if TYPE_CHECKING:
    from google.cloud.scheduler_v1 import Job

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What Cloud Scheduler says of a job."""

    state: str  # ENABLED, PAUSED, DISABLED or UPDATE_FAILED
    schedule: str  # cron's five fields
    last_attempt: datetime | None
    next_run: datetime | None
    last_error: str  # empty if the last attempt succeeded


def ask_for_another_run(settings: CleanupSettings) -> None:
    """Ask for a run as soon as possible, if there is a job. Raises nothing: the next hour comes anyway."""
    if not settings.job:
        return
    try:
        run(settings)
    except ProviderUnavailable as error:
        log.warning("no other run asked for", extra={"cause": str(error)})


def status(settings: CleanupSettings) -> JobStatus:
    """Return what the job does. Raises ProviderUnavailable, InvalidSetting."""
    return _call("get_job", settings)


def pause(settings: CleanupSettings) -> JobStatus:
    """Have the job not run until it is resumed. Raises ProviderUnavailable, InvalidSetting."""
    return _call("pause_job", settings)


def resume(settings: CleanupSettings) -> JobStatus:
    """Have the job run again at its times. Raises ProviderUnavailable, InvalidSetting."""
    return _call("resume_job", settings)


def run(settings: CleanupSettings) -> JobStatus:
    """Have the job run now. Raises ProviderUnavailable, InvalidSetting."""
    return _call("run_job", settings)


def _call(method: str, settings: CleanupSettings) -> JobStatus:
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415 - half a second that few requests need
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.cloud.scheduler_v1 import CloudSchedulerClient  # noqa: PLC0415

    if not settings.job:
        raise InvalidSetting("CLEANUP_JOB is not set: projects/…/locations/…/jobs/…")
    try:
        with CloudSchedulerClient(**google_clients.options(settings.scheduler_endpoint)) as client:
            job = getattr(client, method)(name=settings.job, timeout=TIMEOUT_SECONDS)
    except (GoogleAPIError, GoogleAuthError) as error:
        raise ProviderUnavailable(f"Cloud Scheduler: {type(error).__name__}") from error
    return _status(job)


def _status(job: "Job") -> JobStatus:
    return JobStatus(
        state=job.state.name,
        schedule=job.schedule,
        last_attempt=job.last_attempt_time or None,
        next_run=job.schedule_time or None,
        last_error=job.status.message if job.status.code else "",
    )
