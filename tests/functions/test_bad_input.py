"""Bad input is a 4xx that names the field, never echoes the value, and changes nothing."""

import contextlib
import gzip
import json
import socket

import psutil
import pytest
import requests

from functions.follow_secret import main as follow_secret
from tests.users import base64

MIB = 1024 * 1024
VALID_TYPES = {"type", "title", "status", "detail", "errors"}


def refuse(answer, *fields):
    assert answer.status_code == 400, answer.content
    assert set(answer.json) == VALID_TYPES
    assert answer.json["status"] == 400
    if fields:
        assert answer.fields == set(fields)


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"1", b'"text"', b"{", b"{}{}", b"{'a':1}", b'{"a":1,}', b'{"a":NaN}', b'{"a":Infinity}',
        b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":-1e999}', b'{"a":' + b"9" * 400 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1,"a":2}', b'{"x":{"a":1,"a":2}}', b'{"a":"\\ud800"}', b'{"\\udfff":1}', b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"{" + b'"a":[' * 1 + b"[" * 5_000 + b"]" * 5_000 + b"]}", b'{"a":' * 2_500 + b"1" + b"}" * 2_500,
        '{"a":1}'.encode("utf-16"), b'{"a":"\x01"}',
    ],
)  # fmt: skip
def test_what_is_no_strict_json_object_is_400(call, body):
    """Also where nothing is missing: this route takes any object."""
    refuse(call("POST", "/user/create", body))


@pytest.mark.parametrize("body", [b"", b"null"])
def test_no_body_is_an_object_without_fields(call, body):
    refuse(call("PUT", "/inbox", body), "toUserId", "encryptedMessage")


@pytest.mark.parametrize("value", [None, 1, True, [], {}, "", "not-a-uuid", "{00000000-0000-4000-8000-000000000001}",
                                   "urn:uuid:00000000-0000-4000-8000-000000000001",
        "00000000-0000-0000-0000-000000000000",
                                   "0000000000004000800000000000000g",
        "00000000-00004000-8000-000000000001"])  # fmt: skip
def test_uuid_fields(call, new_user, value):
    refuse(call("PUT", "/event", new_user().event(userId=value)), "userId")


@pytest.mark.parametrize(
    "value",
    [1, [], {}, True, "%%%%", "AAA", "AAAA=", "AAAA====", "A", "====", "AA==AA==", "AAAA\n", "_-AA", "AAAA ", "ÄAAA"],
)
def test_base64_fields(call, new_user, value):
    refuse(call("PUT", "/event", new_user().event(encryptedEventPayload=value)), "encryptedEventPayload")


@pytest.mark.parametrize(
    "value",
    [
        None, 0, "", "now", "2026-11-24", "2026-11-24T03:00:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-11-24T24:00:00Z", "2026-11-24T03:00:61Z", "2026-11-24T03:00:00.1234567890Z", "2026-11-24T03:00:00.Z",
        "2026-11-24 03:00:00Z", "2026-11-24T03:00:00+24:00", "2026-11-24T03:00:00+1000", "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00.0000000Z", "0001-01-01T01:00:00+10:00",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00Z", "2026-11-24T03Z", "2026-11-24T03:00.5Z",
        "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "294277-01-01T00:00:00Z", "٢026-11-24T03:00:00Z",
    ],
)  # fmt: skip
def test_instants(call, new_user, value):
    refuse(call("PUT", "/event", new_user().event(expiry=value)), "expiry")


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:01Z",
        "9999-12-31T23:59:59.999999999Z",
        "2026-11-24t03:00:00z",
        "2026-11-24T03:00:00-23:59",
        "2026-11-24T03:00Z",
    ],
)
def test_far_instants_are_accepted(call, new_user, value):
    assert call("PUT", "/event", new_user().event(expiry=value)).status_code == 200


@pytest.mark.parametrize(
    "missing", ["userId", "password", "eventId", "encryptedEventPayload", "encryptedEventIV", "expiry"]
)
def test_a_missing_field_is_named(call, new_user, missing):
    body = new_user().event()
    del body[missing]
    refuse(call("PUT", "/event", body), missing)


def test_all_faults_are_named_at_once_and_no_value_is_echoed(call, new_user):
    answer = call("PUT", "/event", new_user().event(eventId="<secret-1>", expiry="<secret-2>", password=["<secret-3>"]))
    refuse(answer, "eventId", "expiry", "password")
    assert b"secret" not in answer.content


def test_nested_faults_are_named_by_their_path(call, new_user):
    user = new_user()
    users = [user.asked("s"), user.asked("s", since="x"), user.asked(5), "text"]
    refuse(call("POST", "/events", {"users": users}), "users[1].since", "users[2].followSecret", "users[3]")
    refuse(call("POST", "/users", {"ids": [user.id, "x"]}), "ids[1]")
    refuse(call("POST", "/users", {"ids": {"0": user.id}}), "ids")
    refuse(
        call("POST", "/shareditem", user.shared_item(encryptedPayload={"encryptedPayload": ""})), "encryptedPayload.iv"
    )


def test_names_match_whatever_their_case_and_underscores_but_only_once(call, new_user):
    user = new_user()
    renamed = {"USER_ID": user.id, "Password": user.password}
    assert call("POST", "/inbox", renamed).status_code == 200
    refuse(call("POST", "/inbox", renamed | {"userId": user.id}), "userId")


@pytest.mark.parametrize("password", ["nul\0", "\0"])
def test_a_nul_in_a_text_is_400(call, new_user, password):
    refuse(call("POST", "/inbox", new_user().credentials(password=password)), "password")
    assert call("GET", "/user/a%00b").status_code == 400


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
def test_the_content_type_does_not_matter(call, new_user, content_type):
    body = json.dumps(new_user().credentials()).encode()
    assert call("POST", "/inbox", body, headers={"Content-Type": content_type}).status_code == 200


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_a_body_without_an_encoding_is_read(call, new_user, encoding):
    assert call("POST", "/inbox", new_user().credentials(), headers={"Content-Encoding": encoding}).status_code == 200


def test_a_compressed_body_is_415(call, new_user):
    body = gzip.compress(json.dumps(new_user().credentials()).encode())
    assert call("POST", "/inbox", body, headers={"Content-Encoding": "gzip"}).status_code == 415


@pytest.mark.direct
@pytest.mark.parametrize("has_length", [True, False])
def test_the_largest_body_is_taken_and_a_larger_one_is_not(call, new_user, has_length):
    (route,) = [route for route in follow_secret.family.routes() if route.method == "PUT"]
    body = json.dumps(new_user().secret("s")).encode()
    for size, status in ((route.max_body_bytes, 200), (route.max_body_bytes + 1, 413)):
        padded = body + b" " * (size - len(body))
        answer = call("PUT", "/follow-secret", padded if has_length else iter([padded]))
        assert answer.status_code == status


@pytest.mark.direct
@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/inbox"), ("POST", "/user/create"), ("GET", "/health"), ("GET", "/nothing")]
)
def test_a_body_past_its_cap_is_drained_and_not_kept(call, method, path):
    """40 MB, sent by a client that reads only when it has sent all: the answer comes and memory stays flat."""
    workers = psutil.Process(call.server(path).process.pid).children()
    before = sum(process.memory_info().rss for process in workers)
    answer = call(method, path, b'{"a":"' + b"x" * (30 * MIB) + b'"}')
    assert answer.status_code == (413 if method != "GET" else 200 if path == "/health" else 404)
    assert sum(process.memory_info().rss for process in workers) - before < 16 * MIB
    if answer.status_code == 413:
        assert answer.headers["Connection"] == "close"


def test_a_body_without_end_is_cut_off(call):
    """More than 32 MiB are not read: the client finds its answer, or the connection closed while it still sends."""
    endless = (b"x" * MIB for _ in range(300))
    with contextlib.suppress(requests.ConnectionError):
        assert call("PUT", "/inbox", endless).status_code == 413
    assert len(list(endless)) > 200  # what nobody read was never made


def raw(call, request_bytes):
    host, port = call.url("/inbox").split("/")[2].split(":")
    with socket.create_connection((host, int(port)), 15) as client:
        client.sendall(request_bytes)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    return answer


@pytest.mark.direct
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NONSENSE\r\n\r\n",
        b"PUT /inbox HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PUT /inbox HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"PUT /inbox HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\n{}",
        b"PUT /inbox HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n{}",
        b"PUT /inbox HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"PUT /inbox HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{}",
        b"PUT /inbox HTTP/1.1\r\nHo st: x\r\n\r\n",
        b"PUT /inbox HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    ],
)
def test_malformed_http_is_4xx_or_a_closed_connection(call, request_bytes):
    answer = raw(call, request_bytes)
    assert answer == b"" or answer.split(b" ")[1].startswith(b"4")


def test_a_chunked_body_works(call, new_user):
    body = json.dumps(new_user().credentials()).encode()
    assert call("POST", "/inbox", iter([body[:10], body[10:]])).status_code == 200


def test_a_refused_request_changes_nothing(call, new_user):
    user = new_user()
    call("PUT", "/user", user.profile(encryptedName=base64(5)))
    before = call("GET", f"/user/{user.id}").json
    refuse(call("PUT", "/user", user.profile(encryptedName=base64(6), rsaPublicKey="?")), "rsaPublicKey")
    assert call("GET", f"/user/{user.id}").json == before


@pytest.mark.direct
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"[" + b"{}," * 900_000 + b"{}]", "The body holds too many values."),
        (b'["' + b'","' * 900_000 + b'"]', "The body holds too many values."),
        (b'{"a":"' + b'\\"' * 900_000, "The body is not JSON."),
    ],
    ids=["objects", "texts", "a text without end"],
)
def test_a_body_of_a_million_small_things_is_refused_unread(call, body, detail):
    answer = call("POST", "/", body)
    assert (answer.status_code, answer.json["detail"]) == (400, detail)
