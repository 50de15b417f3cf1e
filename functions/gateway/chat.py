"""A page to talk with the planner in a browser: one document with everything in it, the official client included.

It holds no key: it asks for one, and keeps it for as long as its tab is open. So anybody may look at it.
"""

from functools import cache
from pathlib import Path
from string import Template

from flask import Response

from functions.gateway import setup
from shared.http import browsers

_HERE = Path(__file__).parent
CLIENT = _HERE / "vendor" / "signalr" / "signalr.min.js"  # as its package has it; README.md there says which


def page() -> Response:
    """Return the page, or what is to be set up first, where whoever asks may know that. Raises InvalidSetting."""
    missing = setup.missing_for_chat()
    if missing:
        rows = "".join(f"<li>{what}</li>" for what in missing)
        return browsers.page(Template((_HERE / "chat_setup.html").read_text()).substitute(missing=rows))
    return browsers.page(_html())


@cache
def _html() -> str:
    return Template((_HERE / "chat.html").read_text()).substitute(client=CLIENT.read_text())
