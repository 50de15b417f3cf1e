"""How clients of Google's APIs are made: over HTTP, with the function's own identity, or for another address."""

from typing import Any


def options(endpoint: str) -> dict[str, Any]:
    """Return a client's arguments. `endpoint`: another address of its API, asked without credentials, or empty."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - only where there is such a client

    if not endpoint:
        return {"transport": "rest"}
    anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call] # google-auth has no types
    return {"transport": "rest", "credentials": anonymous, "client_options": {"api_endpoint": endpoint}}
