"""Good requests to the event family."""

from uuid import uuid4

from tests.examples.example import Example, Request, Stage


def polled_by_a_follower(stage: Stage) -> Request:
    """Ask for one user with an event, and for 199 whom nobody knows."""
    stage.prepare("PUT", "/follow-secret", stage.user.secret("s"))
    stage.prepare("PUT", "/event", stage.user.event())
    return Request("/events", {"users": [stage.user.asked("s"), *(stage.user.asked(str(uuid4())) for _ in range(199))]})


GOOD = {
    "PUT /event": Example(lambda stage: Request("/event", stage.user.event())),
    "POST /events": Example(polled_by_a_follower),
}
