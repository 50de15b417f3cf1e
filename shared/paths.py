"""Paths as the original took them."""


def bare_path(path: str) -> str:
    """Return a path without /v2 before it and without empty segments: as in the original, /user/ is /user."""
    segments = [segment for segment in path.split("/") if segment]
    if len(segments) > 1 and segments[0].lower() == "v2":
        del segments[0]
    return "/" + "/".join(segments)
