"""Good requests to the follow_secret family."""

from tests.examples.example import Example, Request, Stage


def taken_back(stage: Stage) -> Request:
    stage.prepare("PUT", "/follow-secret", stage.user.secret("s"))
    return Request("/follow-secret/delete", stage.user.secret("s"))


GOOD = {
    "PUT /follow-secret": Example(lambda stage: Request("/follow-secret", stage.user.secret("s"))),
    "POST /follow-secret/delete": Example(taken_back),
}
