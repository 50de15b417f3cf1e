"""Cleanup: removes what has expired. Called hourly by Cloud Scheduler, or by an operator.

POST /cleanup  {dryRun?, limit?}  → 200 what was removed, or would be, and whether something is left · 503

Safe at any time and as often as wanted. A run stops before its own time-out; if something is left it asks Cloud
Scheduler for the next one.
"""

import logging
import time
from typing import Any

import functions_framework
from flask import Request, Response

from functions.cleanup import sweep
from functions.cleanup.schemas import Cleanup
from shared import operators, scheduler
from shared.data import cleanup_runs, database
from shared.http import Family
from shared.metrics import registry
from shared.settings.operation import cleanup_settings

log = logging.getLogger(__name__)
family = Family("cleanup", operation="POST /cleanup")


@family.route("POST", "/cleanup", guard=operators.authorize, body=Cleanup)
def post_cleanup(*, dry_run: bool, limit: int) -> dict[str, Any]:
    settings = cleanup_settings()
    work = sweep.tasks(settings)
    start = time.monotonic()
    outcome = sweep.count(work) if dry_run else sweep.run(work, limit=limit, seconds=settings.seconds)
    seconds = time.monotonic() - start
    cleanup_runs.put(database(), dry_run=dry_run, deleted=outcome.deleted, remaining=outcome.remaining, seconds=seconds)
    if not dry_run:
        _report(outcome)
        if outcome.remaining:
            scheduler.ask_for_another_run(settings)
    return sweep.as_json(outcome, dry_run=dry_run, seconds=seconds)


def _report(outcome: sweep.SweepResult) -> None:
    registry.count("liftlog_cleanup_runs_total")
    for name, deleted in outcome.deleted.items():
        if deleted:
            registry.count("liftlog_cleanup_deleted_total", deleted, what=name)
    log.info("cleaned up", extra={"deleted": outcome.deleted, "remaining": outcome.remaining})


@functions_framework.http
def cleanup(request: Request) -> Response:
    return family.handle(request)
