"""What an example is made of, and of what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers import Caller
from tests.users import User


@dataclass(frozen=True)
class Stage:
    """What a request may need: somebody who sends it, and a way to do first what must have been done."""

    call: Caller
    user: User

    def prepare(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send what comes before the request, and return the answer's JSON."""
        answer = self.call(method, path, body, **options)
        assert answer.status_code == 200, (method, path, answer.content)
        return answer.json if answer.content else None


@dataclass(frozen=True)
class Request:
    """A request to the route that it is listed under."""

    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A good request to a route, and what is to come of it."""

    build: Callable[[Stage], Request]
    statements: int = 1
    status: int = 200
    unknown_user: int = 404  # the status for credentials of nobody; matters where the body has a password
    model_answer: Any = None  # what the planner's model writes
