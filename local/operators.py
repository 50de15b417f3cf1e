"""What the local commands ask of a running server (BASE_URL) as its operator."""

from typing import Any

import requests

from local.settings import client_settings


class NotDone(Exception):
    """The server does not answer, or refuses; the message says which, and why."""


def ask(path: str, body: dict[str, Any] | None, answer_seconds: float) -> dict[str, Any]:
    """Return the answer to a POST, without a body to a GET. Raises NotDone."""
    settings = client_settings()
    try:
        answer = requests.request(
            "GET" if body is None else "POST",
            f"{settings.base_url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {settings.operator_token}"} if settings.operator_token else {},
            timeout=answer_seconds,
        )
    except requests.RequestException as error:
        raise NotDone(f"{settings.base_url} does not answer: {type(error).__name__}") from error
    said: dict[str, Any] = answer.json()
    if not answer.ok:
        faults = "; ".join(f"{fault['field']} {fault['message']}" for fault in said.get("errors", ()))
        raise NotDone(f"{answer.status_code} {said.get('title', '')} {faults}".rstrip())
    return said
