"""All clients of a worker, and how much is held of their requests."""

from collections.abc import Iterator

from shared.worker.clients import ClientConnection, State
from shared.worker.uploads import MOST_UPLOADS, UploadKind


class Crowd:
    """The connections that are open."""

    def __init__(self) -> None:
        self._clients: dict[ClientConnection, None] = {}
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, client: ClientConnection) -> bool:
        return client in self._clients

    def __iter__(self) -> Iterator[ClientConnection]:
        """Go through those that are open now; some may be removed meanwhile."""
        return iter(list(self._clients))

    def add(self, client: ClientConnection) -> None:
        self._clients[client] = None

    def remove(self, client: ClientConnection) -> None:
        del self._clients[client]

    def hold(self, client: ClientConnection, byte_count: int) -> None:
        """Note how much memory a client's request, or its answer that is not read, takes from now on."""
        self.held_bytes += byte_count - client.held_bytes
        client.held_bytes = byte_count

    def has_room_for(self, upload: UploadKind) -> bool:
        """Tell whether one more upload may be taken in: so many are, or are answered, of its kind and of all."""
        under_way = [client.incoming.upload for client in self if client.incoming and client.incoming.is_upload]
        return len(under_way) < MOST_UPLOADS and under_way.count(upload) < upload.most_at_once

    def stillest(self, least_held_bytes: int) -> ClientConnection | None:
        """Return the client of whom something is waited for, and which has moved nothing for the longest time."""
        waited_for = (
            client
            for client in self._clients
            if client.state is not State.BUSY and client.held_bytes >= least_held_bytes
        )
        return min(waited_for, key=lambda client: client.moved_at, default=None)
