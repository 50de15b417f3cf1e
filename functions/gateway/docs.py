"""The page that shows the API's description: one document with everything in it, so that it asks nobody else."""

from functools import cache
from pathlib import Path
from string import Template

from flask import Response

from shared.http import browsers

_HERE = Path(__file__).parent
DESCRIPTION = _HERE.parent.parent / "docs" / "openapi.json"
VIEWER = _HERE / "vendor"  # Swagger UI, as its package has it; README.md there says which


def page() -> Response:
    """Return the page."""
    return browsers.page(_html())


@cache
def _html() -> str:
    return Template((_HERE / "docs.html").read_text()).substitute(
        style=(VIEWER / "swagger-ui.css").read_text(),
        viewer=(VIEWER / "swagger-ui-bundle.js").read_text(),
        description=DESCRIPTION.read_text().replace("</", "<\\/"),  # else a text could end the script
    )
