"""The first yardstick: what functions-framework, Flask and gunicorn cost before anything of ours happens."""

import functions_framework
from flask import Request, Response


@functions_framework.http
def empty(_request: Request) -> Response:
    return Response(b"{}", content_type="application/json")
