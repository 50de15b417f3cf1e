"""The worker: one loop that waits for clients, and threads that never do (docs/adr/0007-a-loop-before-the-threads.md).

The loop takes requests in and gives each to a thread when it is whole. The thread writes what the client takes at
once of the answer; the loop writes the rest.
"""

import errno
import logging
import resource
import socket
import threading
import time
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.http import errors, wsgi
from gunicorn.workers.gthread import ThreadWorker

from shared import memory
from shared.errors import Overloaded
from shared.metrics import registry
from shared.worker import refusals, uploads
from shared.worker.clients import ClientConnection, ClientSocket, Patience, State
from shared.worker.crowd import Crowd
from shared.worker.incoming import LONGEST_REQUEST_LINE_BYTES, Incoming

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 4096
_SPARE_FILES = 256  # for the database, logs, and what libraries open
_ACCEPTED_AT_ONCE = 64
_RECEIVED_AT_ONCE = 64 * 1024
_MOST_AHEAD_BYTES = 64 * 1024  # of requests that come before the last one is answered
_MOST_FAREWELL_BYTES = 1024 * 1024
_SMALL_BYTES = 16 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Worker(ThreadWorker):  # type: ignore[misc]
    """Waits for clients in its loop alone, bounds what it takes in, and answers broken HTTP as all else is answered."""

    patience = Patience()
    most_held_bytes = 64 * 1024 * 1024  # of requests that are not answered yet

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cfg.set("limit_request_line", LONGEST_REQUEST_LINE_BYTES)
        self._clients = Crowd()
        self._lock = threading.Lock()  # of what threads and the loop change: states, `ahead`, and what is held

    def init_process(self) -> None:
        self.worker_connections = _make_room_for_files(MOST_CONNECTIONS)
        memory.give_back_what_is_freed()
        super().init_process()

    def run(self) -> None:
        """Serve until the process is to end; then what is under way, for a while."""
        self.poller.register(self.method_queue.fileno(), EVENT_READ, self.method_queue.run_callbacks)
        self.set_accept_enabled(True)
        swept_at = 0.0
        while self.alive and self.is_parent_alive():
            self._dispatch(1.0)
            if time.monotonic() - swept_at >= 1.0:
                swept_at = time.monotonic()
                self._sweep(float("inf"))
                memory.budget().rest()
                self.notify()
        self.set_accept_enabled(False)
        now = time.monotonic()
        patient_until, end = now + self.patience.stopping, now + self.cfg.graceful_timeout
        while self._clients and time.monotonic() < end:
            self._sweep(patient_until)
            self._dispatch(0.1)
            self.notify()
        self.tpool.shutdown(wait=False)

    def accept(self, listener: socket.socket) -> None:
        """Take in those who wait to be, and what they have sent."""
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE}:
                    raise
                self._drop_stillest()
                return
            if len(self._clients) >= self.worker_connections:
                self._drop_stillest()
            now = time.monotonic()
            client = ClientConnection(ClientSocket(accepted), address, listener.getsockname(), now, self.cfg.keepalive)
            self._clients.add(client)
            self._receive(client)

    def handle(self, client: ClientConnection) -> None:
        """Answer a request that is whole. Runs in a thread."""
        memory.budget().begin()
        client.may_stay = self._answer(client)
        client.was_cut = client.incoming is None or client.incoming.is_cut
        client.drop_request()
        try:
            client.sock.flush()
        except OSError:
            client.sock.forget()
            client.may_stay = False
        unsent_bytes = client.sock.unsent_bytes
        client.kept_bytes = memory.budget().end(unsent_bytes)
        with self._lock:
            self._clients.hold(client, unsent_bytes - client.kept_bytes)
            if client.may_stay and client.rests:
                client.begin(State.READING, time.monotonic())
                return  # the loop need not wake up
        self.method_queue.defer(self._resume, client)

    def handle_error(self, _req: Any, client: socket.socket, _addr: Any, exc: Exception) -> None:
        """Answer what could not be read, and hang up."""
        client.sendall(refusals.of(exc))

    def _answer(self, client: ClientConnection) -> bool:
        """Write a request's answer to where its client's socket keeps it. Tell whether the connection may stay."""
        request = None
        try:
            request = client.incoming.request(self.cfg, client.client) if client.incoming else None
            return bool(self.handle_request(request, client))
        except (StopIteration, OSError):  # a WebSocket that has ended; nobody is there
            return False
        except Exception as error:  # gunicorn's, of what is no HTTP; or a bug, which is logged
            self.handle_error(request, client.sock, client.client, error)
        return False

    def _ask(self, client: ClientConnection) -> None:
        """Show the head of an upload to its function, which says whether the rest is welcome. Runs in a thread."""
        is_welcome = False
        try:
            if client.incoming:
                request = client.incoming.request(self.cfg, client.client)
                _, environ = wsgi.create(request, client.sock, client.client, client.server, self.cfg)
                is_welcome = uploads.is_welcome(self.wsgi, environ)
        except errors.ParseException:
            pass  # it is answered at its end, as any such request is
        finally:
            self.method_queue.defer(partial(self._take_upload, client, is_welcome=is_welcome))

    def _take_upload(self, client: ClientConnection, *, is_welcome: bool) -> None:
        """Take in an upload, or let it pass by."""
        incoming = client.incoming
        if incoming is None or incoming.upload is None:
            return
        if not is_welcome:
            incoming.refuse(errors.NoMoreData(0))
        elif not self._clients.has_room_for(incoming.upload):
            incoming.refuse(Overloaded("uploads"))
        else:
            incoming.admit()
        client.begin(State.READING, time.monotonic())
        if incoming.wants_continue and not incoming.is_upload:
            incoming.end()  # its client waits for an answer, and sends nothing
        self._take(client, client.ahead)

    def _dispatch(self, seconds: float) -> None:
        for key, _events in self.poller.select(seconds):
            try:
                key.data(key.fileobj)
            except Exception:  # a bug, which must not cost all others their connections
                log.exception("an event was not handled")

    def _receive(self, client: ClientConnection, _sock: Any = None) -> None:
        if client not in self._clients:
            return
        try:
            received = client.sock.recv(_RECEIVED_AT_ONCE)
        except BlockingIOError:
            self._watch(client, EVENT_READ)
            return
        except OSError:
            received = b""
        client.has_ended = not received
        with self._lock:
            if client.state in {State.BUSY, State.WRITING}:
                client.ahead += received
                if client.has_ended or len(client.ahead) > _MOST_AHEAD_BYTES:
                    self._watch(client, 0)
                return
        client.move(len(received), time.monotonic())
        if client.state is State.READING:
            self._take(client, received)
        elif client.has_ended or client.moved_bytes > _MOST_FAREWELL_BYTES:
            self._close(client)

    def _take(self, client: ClientConnection, received: bytes) -> None:
        """Take in a piece of a request; the end if there is nothing."""
        if client.incoming is None:
            client.incoming = Incoming()
            client.begin(State.READING, time.monotonic())
        incoming = client.incoming
        client.ahead = incoming.feed(received)
        if client.has_ended and not incoming.is_whole:
            if not incoming.has_head:
                self._close(client)
                return
            self._watch(client, 0)
            incoming.end()
        with self._lock:
            self._clients.hold(client, incoming.held_bytes)
        if incoming.is_whole or incoming.is_asking:
            if incoming.wants_upgrade or incoming.is_asking:
                self._watch(client, 0)  # a WebSocket reads by itself
            client.begin(State.BUSY, time.monotonic())
            self.tpool.submit(self.handle if incoming.is_whole else self._ask, client)
            return
        self._watch(client, EVENT_READ)
        if incoming.wants_continue:
            incoming.wants_continue = False
            client.sock.sendall(_CONTINUE)
            self._flush(client)
        self._relieve()

    def _resume(self, client: ClientConnection) -> None:
        """Go on with a client whose answer is written as far as it took it."""
        if client.sock.outgoing:
            client.begin(State.WRITING, time.monotonic())
            self._watch(client, EVENT_WRITE)
            return
        self._release(client)
        if not client.may_stay or (client.has_ended and not client.ahead):
            self._leave(client)
        else:
            client.begin(State.READING, time.monotonic())
            self._watch(client, 0 if client.has_ended else EVENT_READ)
            if client.ahead:
                self._take(client, client.ahead)

    def _write(self, client: ClientConnection, _sock: Any = None) -> None:
        if client in self._clients and self._flush(client) and not client.sock.outgoing:
            self._resume(client)

    def _flush(self, client: ClientConnection) -> bool:
        """Send what the client takes. Tell whether it is still there."""
        try:
            client.move(client.sock.flush(), time.monotonic())
        except OSError:
            self._close(client)
            return False
        return True

    def _watch(self, client: ClientConnection, events: int) -> None:
        """Be told of a client's events, and of no others."""
        if events == client.watched:
            return
        callback = partial(self._write if events == EVENT_WRITE else self._receive, client)
        if not client.watched:
            self.poller.register(client.sock, events, callback)
        elif not events:
            self.poller.unregister(client.sock)
        else:
            self.poller.modify(client.sock, events, callback)
        client.watched = events

    def _leave(self, client: ClientConnection) -> None:
        """Close a connection so that its last answer arrives: the kernel drops it where something came unread."""
        if client.has_ended or not (client.was_cut or client.ahead):
            self._close(client)
            return
        try:
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(client)
            return
        client.begin(State.LEAVING, time.monotonic())
        self._watch(client, EVENT_READ)

    def _close(self, client: ClientConnection) -> None:
        self._watch(client, 0)
        self._release(client)
        self._clients.remove(client)
        client.drop_request()
        client.sock.close()

    def _release(self, client: ClientConnection) -> None:
        """Give back the memory of a client of whom nothing is kept any more."""
        memory.budget().give_back(client.kept_bytes)
        client.kept_bytes = 0
        with self._lock:
            self._clients.hold(client, 0)

    def _sweep(self, patient_until: float) -> None:
        """Hang up on those who have had their time. None who sends has any after `patient_until`."""
        now = time.monotonic()
        for client in self._clients:
            deadline = client.deadline(self.patience, is_wanted=memory.budget().waiting_count > 0)
            if client.state is State.READING:
                deadline = min(deadline, patient_until)
            if deadline < now:
                registry.count("liftlog_connections_dropped_total", reason=client.state.name.lower())
                self._close(client)

    def _relieve(self) -> None:
        """Refuse large requests, those that have stood still longest, until what is held of all is not too much."""
        while self._clients.held_bytes > self.most_held_bytes:
            victim = self._clients.stillest(_SMALL_BYTES)
            if victim is None:
                return
            registry.count("liftlog_connections_dropped_total", reason="memory")
            if victim.state is not State.READING:
                self._close(victim)
                continue
            self._release(victim)
            victim.drop_request()
            victim.was_cut = True
            victim.sock.sendall(refusals.overloaded())
            if self._flush(victim):
                self._leave(victim)

    def _drop_stillest(self) -> None:
        victim = self._clients.stillest(0)
        if victim is not None:
            registry.count("liftlog_connections_dropped_total", reason="full")
            self._close(victim)


def _make_room_for_files(connections: int) -> int:
    """Have the process open as many files as connections need, as far as it may. Return how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else min(connections, max(soft - _SPARE_FILES, soft // 2))
