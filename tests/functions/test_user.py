"""Accounts over HTTP."""

import re
from uuid import UUID

import pytest

from functions.user.schemas import MAX_PICTURE_BYTES
from tests.users import base64

PICTURE = bytes(MAX_PICTURE_BYTES)


def test_a_new_account_can_be_read_by_id_and_by_lookup(call):
    created = call("POST", "/user/create", {}).json
    assert created["id"] == created["user_id"]
    assert re.fullmatch(r"[a-z][a-z0-9]{11}", created["lookup"])
    assert re.fullmatch(r"[0-9a-f-]{36}", created["password"])
    expected = {
        "id": created["id"],
        "lookup": created["lookup"],
        "encryptedCurrentPlan": None,
        "encryptedProfilePicture": None,
        "encryptedName": None,
        "encryptionIV": "",
        "rsaPublicKey": "",
    }
    assert call("GET", f"/user/{created['id']}").json == expected
    assert call("GET", f"/user/{created['id'].upper()}").json == expected
    assert call("GET", f"/user/{created['id'].replace('-', '')}").json == expected
    assert call("GET", f"/user/{created['lookup']}").json == expected


@pytest.mark.parametrize("body", [b"", b"{}", b'{"unknown": [1, {"field": null}]}'])
def test_create_takes_any_object_and_no_body(call, body):
    assert call("POST", "/user/create", body).status_code == 200


def test_a_lookup_is_case_sensitive(call, new_user):
    assert call("GET", f"/user/{new_user().lookup.upper()}").status_code == 404


def test_an_unknown_user_is_404(call):
    assert call("GET", "/user/00000000-0000-4000-8000-000000000000").status_code == 404
    assert call("GET", "/user/nobody").status_code == 404


def test_put_replaces_all_five_and_an_absent_one_becomes_null(call, new_user):
    user = new_user()
    full = {
        "encryptedCurrentPlan": base64(10),
        "encryptedProfilePicture": base64(11),
        "encryptedName": base64(12),
        "encryptionIV": base64(16),
        "rsaPublicKey": base64(13),
    }
    assert call("PUT", "/user", user.profile(**full)).status_code == 200
    assert call("GET", f"/user/{user.id}").json == {"id": user.id, "lookup": user.lookup} | full
    assert call("PUT", "/user", user.profile(encryptionIV="", rsaPublicKey="")).status_code == 200
    assert call("GET", f"/user/{user.id}").json["encryptedName"] is None
    assert call("GET", f"/user/{user.id}").json["rsaPublicKey"] == ""


@pytest.mark.parametrize("read", ["id", "lookup", "batch"])
@pytest.mark.parametrize(("minutes", "is_noted"), [(59, False), (61, True)])
def test_a_read_is_noted_once_an_hour(call, new_user, read, minutes, is_noted):
    user = new_user()
    call.db.rows(
        "UPDATE users SET last_accessed = now() - make_interval(mins => :minutes) WHERE id = :id",
        minutes=minutes, id=user.id,
    )  # fmt: skip
    if read == "batch":
        call("POST", "/users", {"ids": [user.id]})
    else:
        call("GET", f"/user/{getattr(user, read)}")
    ((noted,),) = call.db.rows(
        "SELECT last_accessed > now() - interval '1 minute' FROM users WHERE id = :id", id=user.id
    )
    assert noted is is_noted


def test_pictures_of_a_batch_end_at_8_mib(call, new_user):
    """Four of the largest fit; the fifth, by id, is left out, and asked for by itself it comes."""
    ids = sorted((UUID(new_user().id) for _ in range(5)), key=str)
    call.db.rows("UPDATE users SET encrypted_profile_picture = :picture WHERE id = ANY(:ids)", picture=PICTURE, ids=ids)
    found = call("POST", "/users", {"ids": list(map(str, ids))}).json["users"]
    assert [found[str(each)]["encryptedProfilePicture"] is not None for each in ids] == [True] * 4 + [False]
    assert call("GET", f"/user/{ids[4]}").json["encryptedProfilePicture"] is not None
