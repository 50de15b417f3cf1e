"""The edge of the hubs: negotiation, the requests of long polling, and the way in for WebSockets.

POST   /hub/negotiate  subscription, or ?access_token=  → 200 connection id and token, transports · 401 · 503
GET    /hub?id=token   upgrade, or a poll               → 101 · 200 frames · 204 it is over · 404 · 503
POST   /hub?id=token   frames                           → 200 · 404
DELETE /hub?id=token   nothing                          → 202 · 404

(dotnet/aspnetcore, TransportProtocols.md.) A WebSocket without an id needs no negotiation, but a subscription.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import flask
from flask import Request, Response
from wsproto.utilities import RemoteProtocolError

from shared import subscriptions
from shared.errors import InvalidRequest, UnknownConnection
from shared.http import Family
from shared.http.bodies import read_body
from shared.http.responses import json_response
from shared.settings.planner import chat_settings
from shared.signalr import polling, tickets
from shared.signalr.hubs import Hub
from shared.signalr.places import places
from shared.signalr.sockets import sockets
from shared.signalr.tickets import Ticket
from shared.signalr.websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_PACKET_BYTES = 1024 * 1024  # several messages may come at once
VERSIONS = (0, 1)
TRANSPORTS = [{"transport": name, "transferFormats": ["Text"]} for name in ("WebSockets", "LongPolling")]
_NUMBER = re.compile(r"[0-9]{1,9}")
NO_ID = "The query string needs an id, from the negotiation."


def serve(family: Family, hubs: Sequence[Hub]) -> None:
    """Register the hubs with a family.

    Raises InvalidSetting in a process that serves them (in whose app functions are loaded) with too few threads.
    """
    for hub in hubs:
        _add_routes(family, hub)
    if flask.has_app_context():
        chat_settings()


def _add_routes(family: Family, hub: Hub) -> None:
    @family.route("POST", f"{hub.path}/negotiate", credentials=True)
    def negotiate() -> Response:
        return _negotiate(hub)

    @family.route("GET", hub.path, credentials=True)
    def connect_or_poll() -> Response:
        if _asks_for_websocket(flask.request):
            _hold_socket(hub)
            return _Ended(status=101)
        ticket = _ticket(hub)
        with places().take(reserved=True) as has_room:
            frames = polling.poll(hub, ticket, has_room=has_room)
        return Response(status=204) if frames is None else Response(frames, content_type="text/plain; charset=utf-8")

    @family.route("POST", hub.path, credentials=True)
    def send() -> Response:
        ticket = _ticket(hub)
        polling.receive(hub, ticket, read_body(flask.request, MAX_PACKET_BYTES))
        return Response(content_type="text/plain")

    @family.route("DELETE", hub.path, credentials=True)
    def leave() -> Response:
        polling.leave(_ticket(hub))
        return Response(status=202, content_type="text/plain")


def _negotiate(hub: Hub) -> Response:
    subscriber = subscriptions.guard(_authorization())
    places().check()
    ticket = tickets.issue(hub.path, subscriber.key)
    token = tickets.sign(ticket)
    version = _version(flask.request.args.get("negotiateVersion", "0"))
    if version == 0:
        ids = {"connectionId": token}
    else:
        ids = {"connectionId": str(ticket.connection_id), "connectionToken": token}
    return json_response({"negotiateVersion": version} | ids | {"availableTransports": TRANSPORTS})


def _authorization() -> str | None:
    """Return the credentials that came with the request. Browsers can give a WebSocket no header."""
    return flask.request.headers.get("Authorization") or flask.request.args.get("access_token")


def _version(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest("The query string is not valid.", {"negotiateVersion": "must be a number"})
    return min(int(text), VERSIONS[-1])


def _ticket(hub: Hub) -> Ticket:
    """Return the ticket that came with the request. Raises InvalidRequest, UnknownConnection."""
    token = flask.request.args.get("id")
    if not token:
        raise InvalidRequest(NO_ID, {"id": "is missing"})
    return tickets.verify(token, hub.path)


def _asks_for_websocket(request: Request) -> bool:
    """Tell whether a client opens a WebSocket (RFC 6455 §4.1). Some proxies add `Upgrade` to every request."""
    return "Sec-WebSocket-Key" in request.headers and request.headers.get("Upgrade", "").lower() == "websocket"


def _hold_socket(hub: Hub) -> None:
    """Serve a WebSocket until it ends. Raises ServiceError if it is none, or may not be."""
    subscriber = _subscriber_of_socket(hub)
    with places().take():
        try:
            websocket = WebSocket(flask.request.environ["gunicorn.socket"], flask.request.headers, hub.timing.send)
        except RemoteProtocolError as error:
            raise InvalidRequest("The request for a WebSocket is not valid.") from error
        except ConnectionError:
            return
        sockets().serve(hub, subscriber, websocket)


def _subscriber_of_socket(hub: Hub) -> str:
    if "id" not in flask.request.args:
        return subscriptions.guard(_authorization()).key
    ticket = _ticket(hub)
    if not ticket.may_open:
        raise UnknownConnection
    return ticket.subscriber


class _Ended(Response):
    """What is left to answer when a WebSocket has ended: nothing."""

    def __call__(self, _environ: "WSGIEnvironment", _start_response: "StartResponse") -> Iterable[bytes]:
        raise StopIteration  # gunicorn then closes the connection and writes nothing
