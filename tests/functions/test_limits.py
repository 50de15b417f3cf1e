"""The contract's table of limits: at the limit passes, one past it fails and names the field."""

from uuid import uuid4

import pytest

from tests.examples import EXAMPLES, ROUTES, Stage, has_password
from tests.users import base64

PAYLOAD = {"iv": {"value": base64(16)}, "encryptedPayload": base64(1)}

# method, path, how a user builds the body of a size, sizes that pass, sizes that fail, field
LIMITS = [
    (
        "PUT", "/user", lambda u, n: u.profile(encryptedCurrentPlan=base64(n)),
        (0, 262_144), (262_145,), "encryptedCurrentPlan",
    ),
    (
        "PUT", "/user", lambda u, n: u.profile(encryptedProfilePicture=base64(n)),
        (0, 2_048_000), (2_048_001,), "encryptedProfilePicture",
    ),
    ("PUT", "/user", lambda u, n: u.profile(encryptedName=base64(n)), (0, 2_048), (2_049,), "encryptedName"),
    ("PUT", "/user", lambda u, n: u.profile(encryptionIV=base64(n)), (0, 16), (17,), "encryptionIV"),
    ("PUT", "/user", lambda u, n: u.profile(rsaPublicKey=base64(n)), (0, 1_024), (1_025,), "rsaPublicKey"),
    (
        "PUT", "/event", lambda u, n: u.event(encryptedEventPayload=base64(n)),
        (1, 262_144), (0, 262_145), "encryptedEventPayload",
    ),
    ("PUT", "/event", lambda u, n: u.event(encryptedEventIV=base64(n)), (1, 16), (0, 17), "encryptedEventIV"),
    (
        "POST", "/shareditem",
        lambda u, n: u.shared_item(encryptedPayload=PAYLOAD | {"encryptedPayload": base64(n)}),
        (0, 262_144), (262_145,), "encryptedPayload.encryptedPayload",
    ),
    (
        "POST", "/shareditem",
        lambda u, n: u.shared_item(encryptedPayload=PAYLOAD | {"iv": {"value": base64(n)}}),
        (16,), (0, 15, 17), "encryptedPayload.iv.value",
    ),
    ("PUT", "/inbox", lambda u, n: u.message(base64(n)), (0, 1_024), (1_025,), "encryptedMessage[0]"),
    ("PUT", "/inbox", lambda u, n: u.message() | {"encryptedMessage": [""] * n}, (1, 20), (0, 21), "encryptedMessage"),
    ("PUT", "/follow-secret", lambda u, n: u.secret("ß" * n), (1, 40), (0, 41), "followSecret"),
    ("POST", "/follow-secret/delete", lambda u, n: u.secret("s" * n), (1, 40), (0, 41), "followSecret"),
    ("POST", "/users", lambda _, n: {"ids": [str(uuid4()) for _ in range(n)]}, (1, 1000), (0, 1001), "ids"),
    ("POST", "/events", lambda u, n: {"users": [u.asked("s")] * n}, (1, 1000), (0, 1001), "users"),
]  # fmt: skip
CASES = [
    pytest.param(method, path, build, size, status, field, id=f"{method} {path} {field} {size}")
    for method, path, build, passing, failing, field in LIMITS
    for status, sizes in ((200, passing), (400, failing))
    for size in sizes
]


@pytest.mark.parametrize(("method", "path", "build", "size", "status", "field"), CASES)
def test_limit(call, new_user, method, path, build, size, status, field):
    answer = call(method, path, build(new_user(), size))
    assert answer.status_code == status
    if status == 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.fields == {field}


@pytest.mark.parametrize("route", [name for name, route in ROUTES.items() if has_password(route)])
@pytest.mark.parametrize(("length", "status"), [(0, 400), (1, 401), (40, 401), (41, 400)])
def test_password_limit(call, new_user, route, length, status):
    request = EXAMPLES[route].build(Stage(call, new_user()))
    answer = call(route.split(" ")[0], request.path, request.body | {"password": "p" * length})
    assert answer.status_code == status
    if status == 400:
        assert answer.fields == {"password"}
