"""A stand-in for Cloud Storage's JSON API, spoken to over real HTTP: what the client of a bucket asks for.

Uploads that can be resumed, downloads with ranges, lists in pages, deletions, as the JSON API's reference and its page
"Resumable uploads" have them. An object is there when its last byte has come.
"""

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

from tests.fake_server import FakeServer

PAGE_SIZE = 3  # that lists are read to their end shows with few objects
UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o")
OBJECT = re.compile(r"/(?:download/)?storage/v1/b/([^/]+)/o/([^/]+)")
LIST = re.compile(r"/storage/v1/b/([^/]+)/o")


@dataclass
class StoredObject:
    """An object of a bucket."""

    content: bytes
    content_type: str
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))


class FakeStorage(FakeServer):
    """One service with any bucket; `objects` by bucket and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], StoredObject] = {}
        self.requests: list[str] = []
        self.largest_piece_bytes = 0
        self.broken = 0  # so many requests are answered 503
        self.refuses_uploads = False  # as for who has no right to write
        self._sessions: dict[str, dict[str, Any]] = {}
        super().__init__(type("Handler", (StorageHandler,), {"storage": self}))

    def begin(self, bucket: str, name: str, content_type: str) -> str:
        """Begin an upload, and return the id of its session."""
        session = str(len(self._sessions))
        self._sessions[session] = {"bucket": bucket, "name": name, "type": content_type, "content": bytearray()}
        return session

    def go_on(self, session: str, content_range: str, piece: bytes) -> tuple[int, dict[str, Any] | None, int]:
        """Take a piece. Return the status, the object if it is whole, and how many bytes there are."""
        upload = self._sessions[session]
        self.largest_piece_bytes = max(self.largest_piece_bytes, len(piece))
        upload["content"] += piece
        total = content_range.rpartition("/")[2]
        if total == "*" or int(total) > len(upload["content"]):
            return 308, None, len(upload["content"])
        stored = StoredObject(bytes(upload["content"]), upload["type"])
        self.objects[upload["bucket"], upload["name"]] = stored
        return 200, resource(upload["bucket"], upload["name"], stored), len(stored.content)

    def list_page(self, bucket: str, prefix: str, token: str) -> dict[str, Any]:
        names = sorted(name for of, name in self.objects if of == bucket and name.startswith(prefix))
        start = int(token or 0)
        page = names[start : start + PAGE_SIZE]
        items = [resource(bucket, name, self.objects[bucket, name]) for name in page]
        more = {"nextPageToken": str(start + PAGE_SIZE)} if start + PAGE_SIZE < len(names) else {}
        return {"kind": "storage#objects", "items": items} | more


def resource(bucket: str, name: str, stored: StoredObject) -> dict[str, Any]:
    """Return an object's description."""
    moment = stored.updated.isoformat().replace("+00:00", "Z")
    return {
        "kind": "storage#object", "id": f"{bucket}/{name}/1", "name": name, "bucket": bucket, "generation": "1",
        "contentType": stored.content_type, "size": str(len(stored.content)), "timeCreated": moment, "updated": moment,
        "crc32c": base64.b64encode(google_crc32c.value(stored.content).to_bytes(4, "big")).decode(),
    }  # fmt: skip


class StorageHandler(BaseHTTPRequestHandler):
    """Answers for `storage`."""

    storage: FakeStorage
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._run(self._begin)

    def do_PUT(self) -> None:
        self._run(self._go_on)

    def do_GET(self) -> None:
        self._run(self._get)

    def do_DELETE(self) -> None:
        self._run(self._delete)

    def _run(self, answer: Any) -> None:
        url = urlsplit(self.path)
        self.storage.requests.append(f"{self.command} {url.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.storage.broken:
            self.storage.broken -= 1
            self._send(503, b"")
            return
        answer(url.path, {name: values[0] for name, values in parse_qs(url.query).items()}, body)

    def _begin(self, path: str, query: dict[str, str], body: bytes) -> None:
        match = UPLOAD.fullmatch(path)
        if self.storage.refuses_uploads:
            self._send_json({"error": {"code": 403, "message": "no right to storage.objects.create"}}, 403)
            return
        if match is None or query.get("uploadType") != "resumable":
            self._send(400, b"")
            return
        kind = self.headers["X-Upload-Content-Type"]
        session = self.storage.begin(match[1], json.loads(body)["name"], kind)
        self._send(200, b"", Location=f"{self.storage.url}{path}?uploadType=resumable&upload_id={session}")

    def _go_on(self, _path: str, query: dict[str, str], body: bytes) -> None:
        status, stored, count = self.storage.go_on(query["upload_id"], self.headers["Content-Range"], body)
        if stored is None:
            self._send(status, b"", Range=f"bytes=0-{count - 1}")
        else:
            self._send_json(stored)

    def _get(self, path: str, query: dict[str, str], _body: bytes) -> None:
        if listing := LIST.fullmatch(path):
            self._send_json(self.storage.list_page(listing[1], query.get("prefix", ""), query.get("pageToken", "")))
            return
        stored = self._found(path)
        if stored is None:
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        content = stored.content
        if asked is None:
            self._send(200, content)
        else:
            first, last = int(asked[1]), int(asked[2] or len(content))
            part = content[first : last + 1]
            end = first + len(part) - 1
            self._send(206, part, **{"Content-Range": f"bytes {first}-{end}/{len(content)}"})

    def _delete(self, path: str, _query: dict[str, str], _body: bytes) -> None:
        match = OBJECT.fullmatch(path)
        if self._found(path) is not None and match is not None:
            del self.storage.objects[match[1], unquote(match[2])]
            self._send(204, b"")

    def _found(self, path: str) -> StoredObject | None:
        match = OBJECT.fullmatch(path)
        stored = self.storage.objects.get((match[1], unquote(match[2]))) if match else None
        if stored is None:
            self._send_json({"error": {"code": 404, "message": "No such object"}}, 404)
        return stored

    def _send_json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), **{"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        """Tests look at `requests` instead."""
