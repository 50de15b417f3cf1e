"""Good requests to the ai_chat family: a client without a WebSocket comes, says hello, and leaves."""

from urllib.parse import quote

from tests.examples.example import Example, Request, Stage
from tests.examples.subscriptions import SUBSCRIBED
from tests.hub_clients import HANDSHAKE, frame


def negotiated(stage: Stage, hub: str) -> str:
    """Return the connection's path."""
    ids = stage.prepare("POST", f"{hub}/negotiate?negotiateVersion=1", headers=SUBSCRIBED)
    return f"{hub}?id={quote(ids['connectionToken'])}"


def opened(stage: Stage, hub: str) -> str:
    """Return the path of a connection that has had its first poll."""
    path = negotiated(stage, hub)
    assert stage.call("GET", path).content == b""
    return path


def of(hub: str) -> dict[str, Example]:
    """Return the examples of a hub's routes."""
    return {
        f"POST {hub}/negotiate": Example(lambda _: Request(f"{hub}/negotiate", headers=SUBSCRIBED), statements=0),
        f"GET {hub}": Example(lambda stage: Request(negotiated(stage, hub))),
        f"POST {hub}": Example(
            lambda stage: Request(opened(stage, hub), frame(HANDSHAKE)),
            statements=2,  # may it speak; what it said
        ),
        f"DELETE {hub}": Example(lambda stage: Request(opened(stage, hub)), status=202),
    }


GOOD = of("/ai-chat") | of("/ai-chat-v2")
