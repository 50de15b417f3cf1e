"""Uploads: bodies of megabytes, which are files. They are admitted by their head, and kept on the disk meanwhile.

A route says that it takes one (`accept`). When the head of such a request has come, the function is asked with
HEAD_ALONE in the environment, and says 100 if it wants the rest: the credentials are good, the size is. All else is
let pass by, as the body of any request that is refused, and the function is asked again at its end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shared.errors import InvalidSetting
from shared.paths import bare_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

HEAD_ALONE = "liftlog.head_alone"
MOST_UPLOADS = 16  # at once in one process
_TARGET = re.compile(rb"([A-Z]+) (?:https?://[^/ ]*)?(/[^ ?]*)")


@dataclass(frozen=True, slots=True, eq=False)
class UploadKind:
    """What is taken at a path."""

    most_bytes: Callable[[], int]  # it may be a setting
    most_at_once: int

    def largest(self) -> int:
        """Return the size of the largest upload that may come now; 0 if none may."""
        try:
            return self.most_bytes()
        except InvalidSetting:  # so the function will say
            return 0


_kinds: dict[tuple[str, str], UploadKind] = {}


def accept(method: str, path: str, most_bytes: Callable[[], int], most_at_once: int = MOST_UPLOADS) -> None:
    """Take uploads at a path, of as many bytes as `most_bytes` says when one comes, and of all only so many at once.

    `path`: as routes have it, without arguments.
    """
    _kinds[method, path] = UploadKind(most_bytes, most_at_once)


def find(head: bytes | bytearray) -> UploadKind | None:
    """Return what may follow this head; None if it is no upload."""
    target = _TARGET.match(head) if _kinds else None
    if target is None:
        return None
    path = unquote(target[2].decode("latin-1"), "latin-1")
    return _kinds.get((target[1].decode(), bare_path(path).lower()))


def is_welcome(application: "WSGIApplication", environ: "WSGIEnvironment") -> bool:
    """Ask the function whether it wants what follows a head. Raises what it raises."""
    statuses: list[str] = []

    def start_response(status: str, *_rest: object) -> Callable[[bytes], None]:
        statuses.append(status)
        return lambda _part: None

    answer = application(environ | {HEAD_ALONE: True}, start_response)
    if hasattr(answer, "close"):
        answer.close()
    return statuses[0].startswith("100 ")
