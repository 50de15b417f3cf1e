"""Good requests to the health family."""

from tests.examples.example import Example, Request

GOOD = {
    "GET /health": Example(lambda _: Request("/health"), statements=0),
    "GET /health/ready": Example(lambda _: Request("/health/ready")),
}
