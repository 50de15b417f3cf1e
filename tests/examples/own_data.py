"""Good requests to the own_data family: an account that has one of everything, and one that comes from elsewhere."""

from base64 import b64encode
from uuid import uuid4

from shared.cuids import new_cuid
from tests.examples.example import Example, Request, Stage
from tests.users import EPOCH, FUTURE, IV, base64


def filled(stage: Stage) -> Request:
    for method, path, body in (
        ("PUT", "/user", stage.user.profile(encryptedName=base64(20), encryptedCurrentPlan=base64(100))),
        ("PUT", "/event", stage.user.event()),
        ("PUT", "/follow-secret", stage.user.secret("s")),
        ("PUT", "/inbox", stage.user.message()),
        ("POST", "/shareditem", stage.user.shared_item()),
    ):
        stage.prepare(method, path, body)
    return Request("/user/export", stage.user.account())


def newcomer(user_id, password):
    """What shows whose account is brought."""
    return {"Authorization": f"Basic {b64encode(f'{user_id}:{password}'.encode()).decode()}"}


def document(user_id, **changes):
    """A document with one of everything."""
    account = {"id": user_id, "lookup": new_cuid(), "encryptionIV": IV, "rsaPublicKey": base64(294)}
    event = {
        "eventId": str(uuid4()), "timestamp": EPOCH, "expiry": FUTURE, "encryptedEventPayload": base64(100),
        "encryptedEventIV": IV,
    }  # fmt: skip
    item = {
        "id": new_cuid(), "expiry": FUTURE,
        "encryptedPayload": {"encryptedPayload": base64(500), "iv": {"value": IV}},
    }  # fmt: skip
    return {
        "format": "liftlog-account", "version": 1, "account": account, "events": [event],
        "followSecrets": [{"followSecret": "s"}], "inboxMessages": [{"encryptedMessage": [base64(256)]}],
        "sharedItems": [item],
    } | changes  # fmt: skip


def brought(_stage: Stage) -> Request:
    user_id, password = str(uuid4()), str(uuid4())
    return Request("/user/import", document(user_id), newcomer(user_id, password))


GOOD = {
    # the password; then of one snapshot its beginning, the five tables and its end
    "POST /user/export": Example(filled, statements=8),
    # whether the id is free, when the head has come and once more at the end; then beginning, five tables, end
    "POST /user/import": Example(brought, statements=9),
}
