"""Good requests to the inbox family."""

from tests.examples.example import Example, Request, Stage


def taken(stage: Stage) -> Request:
    stage.prepare("PUT", "/inbox", stage.user.message())
    return Request("/inbox", stage.user.credentials())


GOOD = {
    "PUT /inbox": Example(lambda stage: Request("/inbox", stage.user.message())),
    "POST /inbox": Example(taken),
}
