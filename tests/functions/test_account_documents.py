"""Reading a document piece by piece: what comes of it is what a parser of the whole would say."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.event.schemas import PutEvent
from functions.follow_secret.schemas import FollowSecret
from functions.inbox.schemas import PutMessage
from functions.own_data import documents, schemas
from functions.shared_item.schemas import EncryptedPayload, InitializationVector
from functions.user.schemas import PutUser
from shared.errors import InvalidRequest

ARRAYS = ("a", "b")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


class InPieces(BytesIO):
    """A file of which so many bytes come at a time."""

    def __init__(self, content: bytes, piece_bytes: int) -> None:
        super().__init__(content)
        self._piece_bytes = piece_bytes

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(self._piece_bytes)


def read(content: bytes, piece_bytes: int = 3) -> dict[str, Any]:
    """Return a document as `members` tells it."""
    found: dict[str, Any] = {}
    for name, value in documents.members(InPieces(content, piece_bytes), ARRAYS):
        if name in ARRAYS:
            found.setdefault(name, [])
            found[name] += [] if value is None else [value]
        else:
            found[name] = value
    return found


@given(
    st.dictionaries(st.text(max_size=3).filter(lambda name: name not in ARRAYS), VALUES, min_size=1, max_size=4),
    st.lists(VALUES.filter(lambda value: value is not None), max_size=4),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_it_is_read_as_what_it_is(others, elements, piece_bytes, indent):
    document = others | {"b": elements}
    text = json.dumps(document, indent=indent, ensure_ascii=bool(indent)).encode("utf-8", "surrogatepass")
    if b"\xed" in text or "\\ud" in text.decode("utf-8", "replace"):
        return  # half a surrogate pair, which strict JSON refuses
    assert read(text, piece_bytes) == document


REFUSED = [
    b"", b" ", b"[]", b"{", b'{"x"', b'{"x":', b'{"x":1', b'{"x":1,', b'{"x":1,}', b'{"x":1}}', b'{"x":1} {}', b"{}",
    b'{"x":1,"x":2}', b'{"x":{"y":1,"y":2}}', b'{"a":1}', b'{"a":[1', b'{"a":[1]', b'{"a":[1,', b'{"a":[1,]}',
    b'{"a":[1}', b'{"a":[,1]}', b'{"x":"y}', b'{"x":"y\\"}', b'{"x":[1}', b'{"x":{"y":[}}', b'{"x":NaN}', b'{"x":-}',
    b'{"x":truth}', b'{"x":01}', b'{"x":1e999}', b'{"x":"\xff"}', b'{"x":"\\ud800"}', b"{1:2}", b"{'x':1}",
    b'{"x":1 2}', b"\xef\xbb\xbf{}", b'{"x":' + b"[" * 1200 + b"]" * 1200 + b"}", b'{"x":' + b"9" * 400 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("content", REFUSED)
@pytest.mark.parametrize("piece_bytes", [1, 1000])
def test_what_is_no_document_is_refused(content, piece_bytes):
    with pytest.raises(InvalidRequest):
        read(content, piece_bytes)


@pytest.mark.parametrize(
    "value",
    [
        b'"' + b"x" * documents.MOST_VALUE_BYTES * 2 + b'"', b"[" + b"1," * documents.MOST_VALUE_BYTES + b"1]",
        b" " * 10 + b"9" * documents.MOST_VALUE_BYTES * 2, b'"' + b'\\"' * documents.MOST_VALUE_BYTES + b'"',
    ],
    ids=["a text", "an array", "a number", "a text of quotes"],
)  # fmt: skip
@pytest.mark.parametrize("place", [b'{"x":%b}', b'{"a":[%b]}', b'{"a":[{"x":%b}]}', b"{%b:1}"])
def test_a_value_that_is_too_large_is_not_taken_into_memory(value, place):
    class Watched(BytesIO):
        taken_bytes = 0

        def read(self, size: int | None = -1, /) -> bytes:
            piece = super().read(size)
            Watched.taken_bytes += len(piece)
            return piece

    content = place % value
    with pytest.raises(InvalidRequest, match="too large"):
        list(documents.members(Watched(content * 3), ARRAYS))
    assert Watched.taken_bytes < 3 * documents.MOST_VALUE_BYTES


def test_there_are_not_more_members_than_anybody_needs():
    content = json.dumps({str(number): number for number in range(documents.MOST_MEMBERS + 1)}).encode()
    with pytest.raises(InvalidRequest, match="too many"):
        read(content, 1000)


def limits(schema, name):
    """Return what a field of a schema takes, as numbers and flags."""
    field = schema().fields[name]
    limits = vars(getattr(field, "inner", field)) | vars(field)
    return {
        key: limits.get(key) for key in ("min_bytes", "max_bytes", "min_length", "max_length", "min_items", "max_items")
    }


@pytest.mark.parametrize(
    ("exported", "sent", "names"),
    [
        (schemas.ExportedAccount, PutUser, ["encrypted_current_plan", "encrypted_profile_picture", "encrypted_name",
                                            "encryption_iv", "rsa_public_key"]),
        (schemas.ExportedEvent, PutEvent, ["encrypted_event_payload", "encrypted_event_iv"]),
        (schemas.ExportedFollowSecret, FollowSecret, ["follow_secret"]),
        (schemas.ExportedMessage, PutMessage, ["encrypted_message"]),
        (schemas.ExportedPayload, EncryptedPayload, ["encrypted_payload"]),
        (schemas.ExportedIV, InitializationVector, ["value"]),
    ],
)  # fmt: skip
def test_what_is_brought_has_the_limits_that_it_had_when_it_was_sent(exported, sent, names):
    """A family imports no other one, so each says them itself."""
    for name in names:
        assert limits(exported, name) == limits(sent, name), name


def test_a_crowd_of_small_values_is_refused_as_in_a_request():
    with pytest.raises(InvalidRequest, match="too many values"):
        read(b'{"x":[' + b"[]," * 50_000 + b"[]]}", 10_000)
