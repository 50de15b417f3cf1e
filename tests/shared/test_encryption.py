"""sslmode of DATABASE_URL, as libpq has it: what is encrypted, and whose certificate is believed."""

import socket
import ssl
import threading
from contextlib import suppress

import pytest

from shared.data.pool import Database
from shared.errors import DatabaseUnavailable
from tests.certificates import self_signed
from tests.postgres_proxy import PostgresProxy

SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])  # PostgreSQL manual, "SSL Session Encryption"


class Encrypting:
    """A server with a certificate for localhost, before a proxy of PostgreSQL; or one that has no TLS to offer."""

    def __init__(self, proxy, certificate=None):
        self._proxy_port = int(proxy.url.rpartition(":")[2].partition("/")[0])
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.encrypted = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, accepted):
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._proxy_port)) as server,
            self._opened(accepted) as client,
        ):
            back = threading.Thread(target=carry, args=(server, client))
            back.start()
            carry(client, server)
            back.join()

    def _opened(self, client):
        """Return the socket to talk on: an encrypted one, if that is asked for and there is a certificate."""
        if client.recv(len(SSL_REQUEST), socket.MSG_PEEK) == SSL_REQUEST:
            client.recv(len(SSL_REQUEST))
            client.sendall(b"S" if self._context else b"N")
            if self._context is not None:
                client = self._context.wrap_socket(client, server_side=True)
                self.encrypted += 1
        return client


def carry(source, target):
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for sock in (source, target):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(database_url):
    proxy = PostgresProxy(database_url)
    yield proxy
    proxy.close()


@pytest.fixture
def certificate(tmp_path):
    return self_signed(tmp_path)


@pytest.fixture
def encrypting(proxy, certificate):
    server = Encrypting(proxy, certificate)
    yield server
    server.close()


@pytest.fixture
def plain(proxy):
    server = Encrypting(proxy)
    yield server
    server.close()


def answers(proxy, server, sslmode, host="localhost", **query):
    """Tell whether a statement is answered there."""
    before, _, name = proxy.url.partition("?")[0].rpartition("/")
    account = before.rpartition("@")[0]
    more = "".join(f"&{key}={value}" for key, value in query.items())
    pool = Database(f"{account}@{host}:{server.port}/{name}?sslmode={sslmode}{more}", 1, 1)
    try:
        return pool.row("SELECT 5") == [5]
    except DatabaseUnavailable:
        return False
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("sslmode", "is_encrypted"), [("disable", False), ("allow", True), ("prefer", True), ("require", True)]
)
def test_what_can_be_encrypted_is_unless_it_is_not_wanted(proxy, encrypting, sslmode, is_encrypted):
    assert answers(proxy, encrypting, sslmode)
    assert encrypting.encrypted == is_encrypted


@pytest.mark.parametrize(
    ("sslmode", "goes_on"),
    [
        ("disable", True),
        ("allow", True),
        ("prefer", True),
        ("require", False),
        ("verify-ca", False),
        ("verify-full", False),
    ],
)
def test_without_encryption_only_who_does_not_insist_goes_on(proxy, plain, sslmode, goes_on):
    assert answers(proxy, plain, sslmode) is goes_on


@pytest.mark.parametrize(
    ("sslmode", "host", "is_believed"),
    [
        ("verify-full", "localhost", True),
        ("verify-full", "127.0.0.1", False),  # the certificate is of another name
        ("verify-ca", "127.0.0.1", True),
    ],
)
def test_a_certificate_is_believed_that_the_root_has_signed(proxy, encrypting, certificate, sslmode, host, is_believed):
    assert answers(proxy, encrypting, sslmode, host, sslrootcert=certificate[0]) is is_believed


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_a_certificate_of_nobody_is_not_believed(proxy, encrypting, sslmode):
    assert not answers(proxy, encrypting, sslmode)
