"""How one environment variable is read. An empty one is one that is not set."""

import os

from shared.errors import InvalidSetting


def text(name: str, default: str = "") -> str:
    """Return a text."""
    return os.environ.get(name) or default


def base_url(name: str, default: str) -> str:
    """Return a URL without slashes at its end, so that a path can follow."""
    return text(name, default).rstrip("/")


def number(name: str, default: float, least: float, most: float) -> float:
    """Return a number. Raises InvalidSetting if it is outside of its bounds."""
    written = text(name)
    try:
        value = float(written) if written else default
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise InvalidSetting(f"{name} must be a number from {least:g} to {most:g}")
    return value


def flag(name: str) -> bool:
    """Return whether it is `true`. Raises InvalidSetting for what is neither that nor `false`."""
    written = text(name).lower()
    if written not in {"", "true", "false"}:
        raise InvalidSetting(f"{name} must be true or false")
    return written == "true"
