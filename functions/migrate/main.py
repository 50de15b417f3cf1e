"""Migration: brings the database to this release's schema. Only the operator's identity may call it.

POST /migrate  {}  → 200 the revisions before and after · 503 another migrator is at work, or the database refused
"""

import functions_framework
from flask import Request, Response

import migrations
from functions.migrate.schemas import Migrate
from shared.errors import Overloaded
from shared.http import Family
from shared.settings import database_settings

family = Family("migrate", operation="POST /migrate")


@family.route("POST", "/migrate", body=Migrate)
def post_migrate() -> dict[str, str | None]:
    try:
        before, after = migrations.upgrade(database_settings().url)
    except migrations.MigrationBusy as error:
        raise Overloaded(str(error)) from error
    return {"before": before, "after": after}


@functions_framework.http
def migrate(request: Request) -> Response:
    return family.handle(request)
