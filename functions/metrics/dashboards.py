"""The dashboard: one page with everything in it, so that it asks nobody but this service for anything."""

import json
from functools import cache
from pathlib import Path
from string import Template

from flask import Response

from shared.service_levels import SERVICE_LEVELS

_HERE = Path(__file__).parent
CHARTS = _HERE / "vendor"  # uPlot, as its package has it; README.md there says which
# The page's own code and styles only, and nothing from elsewhere (Content Security Policy, level 3).
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def page() -> Response:
    """Return the page. Its figures come from /metrics/series and /metrics/summary, asked by the browser."""
    return Response(
        _html(), mimetype="text/html", headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    )


@cache
def _html() -> str:
    levels = {
        level.metric: {"normal": level.normal, "alert": level.alert, "title": level.title, "unit": level.unit}
        for level in SERVICE_LEVELS
    }
    return Template((_HERE / "dashboard.html").read_text()).substitute(
        uplot_css=(CHARTS / "uPlot.min.css").read_text(),
        uplot_js=(CHARTS / "uPlot.iife.min.js").read_text(),
        levels=json.dumps(levels),
    )
