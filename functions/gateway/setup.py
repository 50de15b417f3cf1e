"""What is set up on a server of one's own and what is not yet, each with the line that does it, for the page at `/`.

Only where ENVIRONMENT is local: elsewhere it is nobody's business, and secrets may have to be fetched.
"""

from collections.abc import Iterator
from html import escape
from urllib.parse import urlsplit

from shared.settings.backups import backup_settings
from shared.settings.environment import LOCAL, environment_settings
from shared.settings.planner import OPENAI_URL, model_settings
from shared.settings.secrets import secret
from shared.settings.stores import store_settings

_NO_MODEL = (
    "no model yet. <code>OPENAI_API_KEY=… make serve</code> takes OpenAI's; "
    "<code>OPENAI_BASE_URL=http://localhost:11434/v1 OPENAI_MODEL=… make serve</code> one of your own "
    "(docs/planner.md). Without either, <code>make chat ARGS=--fake</code> shows how it looks"
)
_NO_STORE = (
    "no store yet, so nobody may use the planner. <code>WEB_AUTH_API_KEY=… make serve</code> lets in who shows that "
    "key (docs/subscriptions.md)"
)
_NO_BACKUPS = "off. <code>make serve</code> without <code>BACKUP_STORE=off</code> keeps them (docs/backups.md)"


def in_html() -> str:
    """Return a list, or nothing where this is no server of one's own. Raises InvalidSetting."""
    if environment_settings().name != LOCAL:
        return ""
    rows = "".join(f"<li><strong>{name}</strong>: {state}</li>" for name, state in _parts())
    return f"<h2>What is set up</h2><ul>{rows}</ul>"


def missing_for_chat() -> list[str]:
    """Return what is to be set up before anybody can talk with the planner, in HTML. Raises InvalidSetting.

    Elsewhere than on a server of one's own that is nobody's business, and nothing.
    """
    if environment_settings().name != LOCAL:
        return []
    return ([] if _has_model() else [_NO_MODEL]) + ([] if any(_stores()) else [_NO_STORE])


def _parts() -> Iterator[tuple[str, str]]:
    """Yield what there is, and how it stands, in HTML."""
    yield "Accounts, feed, inboxes, shared workouts", "ready"
    yield "The planner", _planner()
    stores = ", ".join(_stores())
    yield "Subscriptions", f"asked of {escape(stores)}" if stores else _NO_STORE
    yield "Backups of phones", _backups()


def _has_model() -> bool:
    return model_settings().base_url != OPENAI_URL or bool(secret("OPENAI_API_KEY"))


def _planner() -> str:
    settings = model_settings()
    if not _has_model():
        return _NO_MODEL
    return f"asks {escape(settings.model)} at {escape(urlsplit(settings.base_url).hostname or settings.base_url)}"


def _stores() -> Iterator[str]:
    """Yield the stores that are set up (docs/subscriptions.md)."""
    settings = store_settings()
    if secret("WEB_AUTH_API_KEY"):
        yield "Web (its key)"
    if settings.revenuecat_project_id and secret("REVENUECAT_API_KEY"):
        yield "RevenueCat"
    if settings.google_play_package and secret("GOOGLE_PLAY_KEY"):
        yield "Google Play"
    if secret("APPLE_SHARED_SECRET"):
        yield "the App Store"


def _backups() -> str:
    if not backup_settings().store:
        return _NO_BACKUPS
    return "kept here. <code>make backup-key USER=ann</code> makes the key that a phone needs (docs/backups.md)"
