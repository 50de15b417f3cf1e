"""Links in texts, compared as what they lead to: a model may normalise one, and a part of one leads elsewhere."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

MAX_CHARACTERS = 2_000  # what browsers and servers take everywhere; what is longer is no link
_WEB_PORTS = {"http": 80, "https": 443}
_CLOSING = {")": "(", "]": "[", "}": "{"}
_PUNCTUATION = ".,;:!?'*_~`。，、；！？）」"
# the first characters of both may stand after no other of their kind, so that a long word is read once
_LINK = re.compile(
    r"""(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s<>"\\]+  # with a scheme
      | (?<![\w.-])(?:[\w-]+\.)+[\w-]{2,}(?:[:/?#][^\s<>"\\]*)?  # example.com/bench""",
    re.IGNORECASE | re.VERBOSE,
)

Target = tuple[str, ...]


def is_in(link: str, text: str) -> bool:
    """Tell whether the text has the link: as it is, or with another of http and https, or another trailing slash."""
    target = _target(link.strip())
    return target is not None and target in _targets(text)


def _targets(text: str) -> Iterator[Target | None]:
    """Yield what the links of a text lead to, each with and without the punctuation after it."""
    for found in _LINK.finditer(text):
        if len(found[0]) <= MAX_CHARACTERS:
            yield _target(found[0])
            yield _target(_without_punctuation(found[0]))


def _without_punctuation(link: str) -> str:
    while link and (link[-1] in _PUNCTUATION or link.count(link[-1]) > link.count(_CLOSING.get(link[-1], link[-1]))):
        link = link[:-1]
    return link


def _target(link: str) -> Target | None:
    """Return the parts of a link that matter, or None if it is none."""
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or re.search(r"\s", link):
        return None
    scheme = "web" if parts.scheme in _WEB_PORTS else parts.scheme
    user, _, _ = parts.netloc.rpartition("@")
    own_port = "" if port in {None, _WEB_PORTS.get(parts.scheme)} else str(port)
    return scheme, user, parts.hostname, own_port, parts.path.rstrip("/"), parts.query, parts.fragment
