"""What requests are broken with: odd methods, paths, versions, headers, bodies, JSON values, frames of WebSockets."""

import json
from typing import Any

from bench.hostile.requests import WEB_KEY, raw

METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "PRI",
    "get",
    "G\x00T",
    "\xff",
]
PATHS = [
    "/", "//", "*", "/%00", "/%0d%0a", "/user%0a", "/user/%ff%fe", "/v2//health", "/../user", "/user/..;/x", "/?", "/#",
    "http://evil.example/user", "/robots.txt", "/api/user", "/liftlog/v2/event", "/ai-chat?id=x", "/docs", "/metrics",
    "/user/" + "9" * 5000, "/" * 4000, "/shareditem/%F0%9F%92%AA", "/ai-chat?id=" + "a." * 400, "/cleanup", "/migrate",
]  # fmt: skip
VERSIONS = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "http/1.1", "", "HTTP/1.1 more"]
HEADERS = [
    "Content-Length: -1", "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 99999999999999999999",
    "Content-Length: 1e3", "Content-Length: 10000000", "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Transfer-Encoding: \x0bchunked", "Content-Encoding: gzip", "Content-Encoding: br", "Expect: 100-continue",
    "Expect: nothing", "Upgrade: websocket\r\nConnection: Upgrade", "Connection: upgrade, close, keep-alive",
    "Host: a..b", "Host: [::1", "Host: \xff", "Host: a\r\nHost: b", "Cookie: " + "a=b;" * 500,
    "X-Forwarded-For: " + "1.2.3.4, " * 300, "X-Forwarded-For: [::1%25x]:80", "X-Forwarded-For: \xff",
    "X-Forwarded-Proto: gopher", "X-Cloud-Trace-Context: " + "9" * 5000, "traceparent: 00-" + "f" * 3000,
    "X-Request-Id: \xe4", "SCRIPT_NAME: /user", "Authorization: Web x", "Authorization: Bearer " + "x" * 60_000,
    "Authorization: Apple e30.e30.e30", "Authorization: Basic %%%", "Accept-Encoding: gzip;q=x, *;q=0",
    "Accept-Encoding: " + "gzip," * 1000, "Origin: null", "Origin: \x01", "Range: bytes=0-,5-2", "no colon at all",
    ": no name", "Folded: a\r\n  b", "Bad Name: x", "Name\x00: x", "A: " + "x" * 70_000,
    "\r\n".join(f"H{number}: x" for number in range(150)), "Access-Control-Request-Headers: \x00",
    "Sec-WebSocket-Key: x", "Content-Type: multipart/form-data; boundary=x",
    "Content-Type: application/x-www-form-urlencoded", "Content-Type: ;;;",
]  # fmt: skip
BODIES = [
    b"", b"{", b"[" * 20_000, b'{"a":' * 5_000, b"null", b"NaN", b"-", b"1" * 5_000, b'"\\ud800"', b"\xff\xfe{}",
    b"\x00", b'{"id":1e999}', b'{"a":1,"a":2}', b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\nx",
    b"-5\r\nhello\r\n", b"5;x=y\r\nhell", b"a=b&c=d", b'{"route": "GET /user/x"}', b'{"route": "\xc3\xa4"}',
    b'{"route": 5}', b'{"route": "POST /", "body": {"route": "x"}}', b"GET / HTTP/1.1\r\n\r\n" * 20,
    json.dumps({"ids": ["x"] * 2000}).encode(), b'{"users": [' + b"{}," * 1000 + b"{}]}",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, -1, 10**400, 1e308, "", "\x00", "\ud800", "x" * 100_000, [], [[]], {}, {"": {}},
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "00000000-0000-0000-0000-000000000000", "====", "\u202e",
    ["x"] * 3000, "2026-02-30T00:00:00Z", "NaN", "%s%n", "'; DROP TABLE users; --",
]  # fmt: skip
HANDSHAKE = raw(
    "GET", "/ai-chat", None, Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Version="13",
    Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", Authorization=f"Web {WEB_KEY}",
)  # fmt: skip
FRAMES = [
    b'\x81\x8b\x00\x00\x00\x00{"protocol"', b'{"protocol":"json","version":1}\x1e', b'{"type":1,"target":"x"}\x1e',
    b"\x81\xff" + b"\xff" * 8, b"\x88\x80\x00\x00\x00\x00", b"\xff" * 50, b"\x01\x80\x00\x00\x00\x00" * 500,
    b"\x89\xfe\xff\xff",
]  # fmt: skip
