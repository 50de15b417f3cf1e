"""Shared workouts over HTTP."""

import re

from tests.users import IV, base64


def test_whoever_has_the_link_gets_the_item_and_its_authors_key(call, new_user):
    user = new_user()
    call("PUT", "/user", user.profile(rsaPublicKey=base64(9)))
    created = call("POST", "/shareditem", user.shared_item())
    assert created.status_code == 200
    assert re.fullmatch(r"[a-z][a-z0-9]{11}", created.json["id"])
    assert call("GET", f"/ShareDitem/{created.json['id']}").json == {
        "rsaPublicKey": {"spkiPublicKeyBytes": base64(9)},
        "encryptedPayload": {"encryptedPayload": base64(500), "iv": {"value": IV}},
    }


def test_an_expired_or_unknown_item_is_404(call, new_user):
    created = call("POST", "/shareditem", new_user().shared_item(expiry="2001-01-01T00:00:00Z"))
    assert call("GET", f"/shareditem/{created.json['id']}").status_code == 404
    assert call("GET", "/shareditem/nothing").status_code == 404


def test_an_unknown_user_is_401_here(call, new_user):
    item = new_user().shared_item(userId="00000000-0000-4000-8000-000000000000")
    assert call("POST", "/shareditem", item).status_code == 401
