"""The first yardstick: what functions-framework, Flask and gunicorn cost before anything of ours happens."""

from typing import Any

import functions_framework
from flask import Request


@functions_framework.http
def empty(_request: Request) -> dict[str, Any]:
    return {}
