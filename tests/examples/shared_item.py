"""Good requests to the shared_item family."""

from tests.examples.example import Example, Request, Stage


def fetched(stage: Stage) -> Request:
    item = stage.prepare("POST", "/shareditem", stage.user.shared_item())
    return Request(f"/shareditem/{item['id']}")


GOOD = {
    "POST /shareditem": Example(
        lambda stage: Request("/shareditem", stage.user.shared_item()),
        unknown_user=401,  # as the original answers
    ),
    "GET /shareditem/{item_id}": Example(fetched),
}
