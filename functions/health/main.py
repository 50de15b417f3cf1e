"""Health: liveness is cheap and asks nobody; readiness asks the database.

GET /health        → 200, the process answers
GET /health/ready  → 200, the database does too · 503
"""

import functions_framework
from flask import Request, Response

from shared.data import database, readiness
from shared.http import Family

family = Family("health", is_probe=True)


@family.route("GET", "/health")
def get_health() -> dict[str, str]:
    return {"status": "ok"}


@family.route("GET", "/health/ready")
def get_readiness() -> dict[str, str]:
    readiness.check(database())
    return {"status": "ready"}


@functions_framework.http
def health(request: Request) -> Response:
    return family.handle(request)
