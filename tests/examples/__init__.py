"""A good request to every public route: what tests send that hold for all of them.

`tests/examples/<family>.py` has `GOOD`, from the route as the manifest has it to its example.
"""

from importlib import import_module
from importlib.util import find_spec

from shared.http import fields
from shared.http.routes import Route
from tests.examples.example import Example, Request, Stage
from tests.servers import manifest

PUBLIC = [name for name, entry in manifest().items() if entry["access"] == "public"]


def good(family: str) -> dict[str, Example]:
    """Return the examples of a family's routes."""
    name = f"tests.examples.{family}"
    examples: dict[str, Example] = import_module(name).GOOD if find_spec(name) else {}
    return examples


def has_password(route: Route) -> bool:
    """Tell whether a request to the route says whose it is."""
    return route.body is not None and any(isinstance(f, fields.Password) for f in route.body.fields.values())


EXAMPLES = {route: example for family in PUBLIC for route, example in good(family).items()}
ROUTES: dict[str, Route] = {
    str(route): route for family in PUBLIC for route in import_module(f"functions.{family}.main").family.routes()
}

__all__ = ["EXAMPLES", "PUBLIC", "ROUTES", "Example", "Request", "Stage", "good", "has_password"]
