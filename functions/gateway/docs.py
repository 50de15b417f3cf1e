"""The page that shows the API's description: one document with everything in it, so that it asks nobody else."""

from functools import cache
from pathlib import Path
from string import Template

from flask import Response

_HERE = Path(__file__).parent
DESCRIPTION = _HERE.parent.parent / "docs" / "openapi.json"
VIEWER = _HERE / "vendor"  # Swagger UI, as its package has it; README.md there says which
# "Try it out" calls this service, and nothing comes from elsewhere (Content Security Policy, level 3).
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def page() -> Response:
    """Return the page."""
    return Response(_html(), mimetype="text/html", headers={"Content-Security-Policy": POLICY})


@cache
def _html() -> str:
    return Template((_HERE / "docs.html").read_text()).substitute(
        style=(VIEWER / "swagger-ui.css").read_text(),
        viewer=(VIEWER / "swagger-ui-bundle.js").read_text(),
        description=DESCRIPTION.read_text().replace("</", "<\\/"),  # else a text could end the script
    )
