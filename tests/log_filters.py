"""A small evaluator of Cloud Logging's filters, for the queries of the runbook: comparisons, all of which must hold.

(Google Cloud, "Logging query language": `field OP value`, joined by AND or white space.)
"""

import json
import operator
import re
import shlex
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

_SEVERITIES = ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"]
_COMPARISON = re.compile(r"([\w./]+?)(=~|>=|<=|!=|=|>|<|:)(.*)")
_LOG_ID = re.compile(r"log_id\((.*)\)")
_OPERATORS = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, "=": operator.eq, ">": operator.gt, "<": operator.lt,
    "=~": lambda found, wanted: re.search(wanted, found) is not None,
    ":": lambda found, wanted: str(wanted) in str(found),
}  # fmt: skip
_LIFTED = {"severity": "severity", "time": "timestamp", "httpRequest": "httpRequest"}


def entry(line: str, service: str) -> dict[str, Any]:
    """Return the log entry that Cloud Run makes of a line on standard output."""
    payload = json.loads(line)
    lifted = {to: payload.pop(name) for name, to in _LIFTED.items() if name in payload}
    trace = payload.pop("logging.googleapis.com/trace", None)
    resource = {"type": "cloud_run_revision", "labels": {"service_name": service}}
    return {"jsonPayload": payload, "resource": resource, "trace": trace, **lifted}


def select(query: str, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of which every comparison of the query holds."""
    comparisons = [word for word in shlex.split(query) if word != "AND"]
    return [entry for entry in entries if all(_holds(comparison, entry) for comparison in comparisons)]


def _holds(comparison: str, entry: dict[str, Any]) -> bool:
    log = _LOG_ID.fullmatch(comparison)
    if log is not None:
        return unquote(entry["logName"]).endswith(f"/logs/{log[1]}")
    match = _COMPARISON.fullmatch(comparison)
    assert match is not None, comparison
    path, compare, wanted = match.groups()
    found: Any = entry
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    if found is None:
        return False
    if path == "severity":
        return bool(_OPERATORS[compare](_SEVERITIES.index(found), _SEVERITIES.index(wanted)))
    return bool(_OPERATORS[compare](found, float(wanted) if isinstance(found, int | float) else wanted))
