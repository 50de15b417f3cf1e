"""The dashboard: one page with everything in it, so that it asks nobody but this service for anything."""

import json
from functools import cache
from pathlib import Path
from string import Template

from flask import Response

from shared.http import browsers
from shared.service_levels import SERVICE_LEVELS

_HERE = Path(__file__).parent
CHARTS = _HERE / "vendor"  # uPlot, as its package has it; README.md there says which


def page() -> Response:
    """Return the page. Its figures come from /metrics/series and /metrics/summary, asked by the browser."""
    return browsers.page(_html())


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
