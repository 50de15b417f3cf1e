"""Migration: brings the database to this release's schema. Only the operator's identity may call it.

POST /migrate  {}  → 200 the revisions before and after · 503 another migrator is at work, or the database refused
"""

import functions_framework
from flask import Request, Response

from functions.migrate.schemas import Migrate
from shared import operators
from shared.errors import Overloaded
from shared.http import Family
from shared.settings.database import database_settings, function_users

family = Family("migrate", operation="POST /migrate")


@family.route("POST", "/migrate", guard=operators.authorize, body=Migrate)
def post_migrate() -> dict[str, str | None]:
    import migrations  # noqa: PLC0415 - Alembic and SQLAlchemy: 25 MB and half a second that the gateway seldom needs

    try:
        settings = database_settings()
        before, after = migrations.upgrade(settings.url, rate_limit_url=settings.rate_limit_url, users=function_users())
    except migrations.MigrationBusy as error:
        raise Overloaded(str(error)) from error
    return {"before": before, "after": after}


@functions_framework.http
def migrate(request: Request) -> Response:
    return family.handle(request)
