"""Good requests to the user family."""

from uuid import uuid4

from tests.examples.example import Example, Request
from tests.users import base64

GOOD = {
    "POST /user/create": Example(lambda _: Request("/user/create", {})),
    "GET /user/{id_or_lookup}": Example(lambda stage: Request(f"/user/{stage.user.lookup}")),
    "PUT /user": Example(
        lambda stage: Request("/user", stage.user.profile(encryptedProfilePicture=base64(100_000), encryptedName=""))
    ),
    "POST /user/delete": Example(lambda stage: Request("/user/delete", stage.user.account())),
    "POST /users": Example(
        lambda stage: Request("/users", {"ids": [stage.user.id, *(str(uuid4()) for _ in range(199))]})
    ),
}
