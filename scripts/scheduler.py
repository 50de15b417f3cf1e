"""The hourly cleanup's job in Cloud Scheduler: what it does, and pausing, resuming and running it now.

Started by scripts/scheduler.sh, or with CLEANUP_JOB set: .venv/bin/python -m scripts.scheduler status
"""

import argparse
import dataclasses
import sys
from datetime import datetime

from shared import scheduler
from shared.errors import InvalidSetting, ProviderUnavailable
from shared.scheduler import JobStatus
from shared.settings.operation import cleanup_settings

ACTIONS = {
    "status": scheduler.status,
    "pause": scheduler.pause,
    "resume": scheduler.resume,
    "run": scheduler.run,
}


def main() -> int:
    """Do one thing with the job and show it afterwards. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.scheduler", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--job", help="projects/…/locations/…/jobs/… (CLEANUP_JOB)")
    parser.add_argument("--dry-run", action="store_true", help="show the job, change nothing")
    arguments = parser.parse_args()
    settings = cleanup_settings()
    if arguments.job:
        settings = dataclasses.replace(settings, job=arguments.job)
    action = "status" if arguments.dry_run else arguments.action
    try:
        job = ACTIONS[action](settings)
    except (InvalidSetting, ProviderUnavailable) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    if action != arguments.action:
        print(f"would {arguments.action} {settings.job}")
    print(_text(job))
    return 0


def _text(job: JobStatus) -> str:
    lines = [
        f"state         {job.state}",
        f"schedule      {job.schedule}",
        f"last attempt  {_time(job.last_attempt)}{f', which failed: {job.last_error}' if job.last_error else ''}",
        f"next run      {_time(job.next_run)}",
    ]
    return "\n".join(lines)


def _time(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else "none"


if __name__ == "__main__":
    sys.exit(main())
