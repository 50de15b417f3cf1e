"""The list of backups for a person with a browser."""

from html import escape
from pathlib import Path
from string import Template

from flask import Request, Response

from shared.data.backups import Backup
from shared.http import browsers

_PAGE = Template((Path(__file__).parent / "page.html").read_text())
_KIB = 1024


def is_wanted(request: Request) -> bool:
    """Tell whether a browser asks, rather than a program, to which anything is fine."""
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def of(name: str, found: list[Backup]) -> Response:
    """Return the page. Its links lead to the files, from wherever it is."""
    rows = "".join(map(_row, found)) or "<tr><td>There are none."
    response = browsers.page(_PAGE.substitute(name=escape(name), rows=rows))
    response.headers["Vary"] = "Accept"
    return response


def _row(backup: Backup) -> str:
    return (
        f'<tr><td><a href="backup/{backup.id}">{backup.stored_at:%Y-%m-%d %H:%M:%S}</a>'
        f"<td>{backup.hex_digest[:8]}<td>{-(-backup.byte_count // _KIB):,} KiB\n"
    )
